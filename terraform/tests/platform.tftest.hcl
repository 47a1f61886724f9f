# What a plan of a whole platform says. mock_provider would need the provider as well: the plan is of the real one, or
# of the schema-only gate.

variables {
  environment       = "prod"
  functions_archive = "functions/2222222222222222222222222222222222222222222222222222222222222222.zip"
  image             = "us-docker.pkg.dev/demo-tron/tron/tron@sha256:1111111111111111111111111111111111111111111111111111111111111111"
  prefix            = "acme"
  project           = "demo-tron"
  project_number    = "123456789012"
  region            = "us-central1"
  alert_emails      = ["desk@example.com"]
  secrets           = ["exchange-key"]
  dashboard         = { people = ["group:traders@example.com"] }
  bots = {
    vwap     = { arguments = ["--strategy", "vwap"], secrets = { EXCHANGE_KEY = "exchange-key" } }
    paused   = { running = false }
    machined = { machine = { zone = "us-central1-a" } }
  }
}

run "a_platform_is_what_its_variables_say" {
  command = plan

  assert {
    condition     = google_cloud_run_v2_worker_pool.bot["vwap"].scaling[0].manual_instance_count == 1
    error_message = "A bot runs once."
  }
  assert {
    condition     = [for container in google_cloud_run_v2_worker_pool.bot["vwap"].template[0].containers : container.name] == ["bot", "shipper"]
    error_message = "The shipper runs beside the bot."
  }
  assert {
    condition     = google_cloud_run_v2_worker_pool.bot["vwap"].template[0].containers[0].args == tolist(["run", "--no-dashboard", "--strategy", "vwap"])
    error_message = "The arguments follow the verb."
  }
  assert {
    condition     = google_cloud_run_v2_worker_pool.bot["vwap"].template[0].volumes[0].empty_dir[0].medium == "MEMORY"
    error_message = "Both containers share a home in memory."
  }
  assert {
    condition     = google_cloud_run_v2_worker_pool.bot["paused"].scaling[0].manual_instance_count == 0
    error_message = "A bot that does not run has no instance."
  }
  assert {
    condition     = !contains(keys(google_cloud_run_v2_worker_pool.bot), "machined")
    error_message = "A bot runs in one place."
  }
  assert {
    condition     = output.machines["machined"].environment["TRON_BOT"] == "machined"
    error_message = "The addons are told what the bot needs."
  }
  assert {
    condition = alltrue([
      for name, days in { trade-logs = 365, cognitive-archives = 181, system-logs = 90, analytics-data = 730, compliance-logs = 2555 } :
      [for rule in google_storage_bucket.archive[name].lifecycle_rule : one(rule.condition).age if one(rule.action).type == "Delete"] == [days]
    ])
    error_message = "A bucket deletes at another age."
  }
  assert {
    condition     = google_storage_bucket.archive["compliance-logs"].retention_policy[0].retention_period == "220752000"
    error_message = "compliance-logs are kept for seven years."
  }
  assert {
    condition     = google_storage_bucket.archive["compliance-logs"].retention_policy[0].is_locked == false
    error_message = "Nothing is locked unless somebody says so."
  }
  assert {
    condition     = google_storage_bucket.archive["compliance-logs"].deletion_policy == "PREVENT"
    error_message = "The compliance bucket cannot be destroyed."
  }
  assert {
    condition     = length([for grant in google_storage_bucket_iam_member.keeper : grant if endswith(grant.bucket, "compliance-logs")]) == 0
    error_message = "Compaction and clean-up stay away from compliance-logs."
  }
  assert {
    condition     = google_project_iam_custom_role.bot_objects.permissions == toset(["storage.objects.create", "storage.objects.get"])
    error_message = "A bot creates and reads, and nothing more."
  }
  assert {
    condition     = alltrue([for function in google_cloudfunctions2_function.function : function.service_config[0].ingress_settings == "ALLOW_INTERNAL_ONLY"])
    error_message = "A function is reached from inside only."
  }
  assert {
    condition     = toset(keys(google_cloud_scheduler_job.function)) == toset(["bigquery-export", "compact-archive", "cost-report", "daily-cleanup"])
    error_message = "These functions are called by schedule."
  }
  assert {
    condition     = google_cloudfunctions2_function.function["daily-cleanup"].build_config[0].entry_point == "daily_cleanup"
    error_message = "An entry point is a Python name."
  }
}

run "what_must_be_decided_is_decided_by_a_variable" {
  command = plan

  variables {
    compliance_lock = true
    schedules       = { cost-report = null, daily-cleanup = "0 1 * * *" }
    second_region   = "us-east1"
    bots            = { vwap = { place = "second" } }
  }

  assert {
    condition     = google_storage_bucket.archive["compliance-logs"].retention_policy[0].is_locked && length(google_storage_bucket.archive["trade-logs"].retention_policy) == 0
    error_message = "Only compliance-logs are locked."
  }
  assert {
    condition     = google_cloud_scheduler_job.function["cost-report"].paused && !google_cloud_scheduler_job.function["daily-cleanup"].paused
    error_message = "Null pauses."
  }
  assert {
    condition     = google_cloud_scheduler_job.function["daily-cleanup"].schedule == "0 1 * * *"
    error_message = "A schedule is what it is set to."
  }
  assert {
    condition     = google_storage_bucket.archive["trade-logs"].location == "US" && google_storage_bucket.archive["trade-logs"].custom_placement_config[0].data_locations == toset(["US-CENTRAL1", "US-EAST1"])
    error_message = "Buckets lie in both regions."
  }
  assert {
    condition     = google_cloud_run_v2_worker_pool.bot["vwap"].location == "us-east1"
    error_message = "A bot runs in its place."
  }
}

run "what_is_not_wanted_is_not_there_dev_can_be_taken_down_and_a_key_encrypts" {
  command = plan

  variables {
    environment       = "dev"
    functions_archive = null
    image             = null
    kms_key           = "projects/demo-tron/locations/us-central1/keyRings/tron/cryptoKeys/tron"
    dashboard         = null
    bots              = {}
    secrets           = []
  }

  assert {
    condition     = length(google_cloudfunctions2_function.function) + length(google_cloud_scheduler_job.function) + length(google_cloud_run_v2_service.dashboard) + length(google_pubsub_subscription.on_trading_record) == 0
    error_message = "What is not wanted is not there."
  }
  assert {
    condition     = length(google_storage_bucket.archive) == 5
    error_message = "The archive is there all the same."
  }
  assert {
    condition     = google_storage_bucket.archive["trade-logs"].deletion_policy == "DELETE" && google_storage_bucket.archive["compliance-logs"].deletion_policy == "PREVENT"
    error_message = "Only the compliance logs stay."
  }
  assert {
    condition     = google_firestore_database.live.delete_protection_state == "DELETE_PROTECTION_DISABLED"
    error_message = "The database of dev can go."
  }
  assert {
    condition     = alltrue([for bucket in google_storage_bucket.archive : bucket.encryption[0].default_kms_key_name == var.kms_key])
    error_message = "Buckets are encrypted with the key."
  }
  assert {
    condition     = google_firestore_database.live.cmek_config[0].kms_key_name == var.kms_key && google_bigquery_dataset.warehouse.default_encryption_configuration[0].kms_key_name == var.kms_key && google_pubsub_topic.records.kms_key_name == var.kms_key
    error_message = "So are the database, the dataset and the topic."
  }
}
