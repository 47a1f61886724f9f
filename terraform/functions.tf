# Functions of the second generation. Nobody calls them but Cloud Scheduler and Pub/Sub of this project.

locals {
  are_functions = var.functions_archive != null

  # `seconds` is when the platform ends a call; the function answers before, and the next call goes on from there.
  all_functions = {
    bigquery-export   = { caller = "scheduler", memory = "1Gi", schedule = "*/15 * * * *", seconds = 840 }
    compact-archive   = { caller = "scheduler", memory = "1Gi", schedule = "10 2 * * *", seconds = 1740 }
    cost-report       = { caller = "scheduler", memory = "512Mi", schedule = "40 5 * * *", seconds = 840 }
    daily-cleanup     = { caller = "scheduler", memory = "512Mi", schedule = "40 3 * * *", seconds = 1740 }
    on-trading-record = { caller = "push", memory = "256Mi", schedule = null, seconds = 50 }
  }
  functions     = { for name, function in local.all_functions : name => function if local.are_functions }
  function_urls = { for name in keys(local.functions) : name => "https://${name}-${var.project_number}.${var.region}.run.app" }
  scheduled     = { for name, function in local.functions : name => function if function.caller == "scheduler" }
}

resource "google_cloudfunctions2_function" "function" {
  for_each = local.functions

  project      = var.project
  name         = each.key
  location     = var.region
  description  = "Function ${replace(each.key, "-", "_")} of tron"
  kms_key_name = var.kms_key
  labels       = local.labels

  build_config {
    runtime           = "python311"
    entry_point       = replace(each.key, "-", "_")
    docker_repository = google_artifact_registry_repository.functions.id
    service_account   = "projects/${var.project}/serviceAccounts/function-build@${local.domain}"

    source {
      storage_source {
        bucket = google_storage_bucket.source.name
        object = var.functions_archive
      }
    }

    automatic_update_policy {}
  }

  service_config {
    service_account_email            = trimprefix(local.members[each.key], "serviceAccount:")
    ingress_settings                 = "ALLOW_INTERNAL_ONLY"
    available_memory                 = each.value.memory
    available_cpu                    = "1"
    timeout_seconds                  = each.value.seconds
    min_instance_count               = 0
    max_instance_count               = each.value.caller == "scheduler" ? 1 : 5
    max_instance_request_concurrency = each.value.caller == "scheduler" ? 1 : 20
    all_traffic_on_latest_revision   = true

    # Cloud Run checks the token's signature and removes it; the function checks who it names and for whom it is.
    environment_variables = merge(local.common, local.stores, {
      LOG_EXECUTION_ID         = "true"
      TRON_FUNCTION_AUDIENCES  = local.function_urls[each.key]
      TRON_FUNCTION_CALLERS    = trimprefix(local.members[each.value.caller], "serviceAccount:")
      TRON_FUNCTION_SECONDS    = tostring(each.value.seconds - 30)
      TRON_FUNCTION_SIGNATURES = "platform"
    })
  }

  depends_on = [
    google_artifact_registry_repository_iam_member.functions_writer,
    google_project_iam_member.function_build,
    google_project_iam_member.function_source,
    google_storage_bucket_iam_member.source_reader,
  ]
}

resource "google_cloud_run_v2_service_iam_member" "scheduler" {
  for_each = local.scheduled

  project  = var.project
  location = var.region
  name     = google_cloudfunctions2_function.function[each.key].name
  role     = "roles/run.invoker"
  member   = local.members["scheduler"]

  depends_on = [google_service_account.account]
}

resource "google_cloud_run_v2_service_iam_member" "push" {
  count = local.are_functions ? 1 : 0

  project  = var.project
  location = var.region
  name     = google_cloudfunctions2_function.function["on-trading-record"].name
  role     = "roles/run.invoker"
  member   = local.members["push"]

  depends_on = [google_service_account.account]
}
