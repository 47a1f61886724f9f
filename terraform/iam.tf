# Identities, the roles of our own, and what is granted on the project. Grants on a thing are beside the thing.

locals {
  accounts = merge(
    { for name in keys(var.bots) : "bot-${name}" => "Bot ${name} and its shipper" },
    {
      audit             = "Verifies the archive, reading only"
      bigquery-export   = "Function bigquery-export"
      build             = "Cloud Build: tests, builds, deploys"
      compact-archive   = "Function compact-archive"
      cost-report       = "Function cost-report"
      daily-cleanup     = "Function daily-cleanup"
      dashboard         = "The dashboard"
      events-writer     = "Pub/Sub, writing events_stream"
      function-build    = "Builds the functions' containers"
      on-trading-record = "Function on-trading-record"
      push              = "Pub/Sub, calling on-trading-record"
      restore           = "Rebuilds live state from the archive, recovers printed records"
      scheduler         = "Cloud Scheduler, calling functions"
      tail              = "Follows the stream"
    },
  )
  members = { for name in keys(local.accounts) : name => "serviceAccount:${name}@${local.domain}" }

  roles = {
    bot_objects   = "projects/${var.project}/roles/tronBotObjects"
    object_keeper = "projects/${var.project}/roles/tronObjectKeeper"
    object_reader = "projects/${var.project}/roles/tronObjectReader"
    plan_reader   = "projects/${var.project}/roles/tronPlanReader"
    tail          = "projects/${var.project}/roles/tronTail"
  }

  # Live documents are in one database; Firestore knows no permission on a collection.
  database_users   = toset(concat([for name in keys(var.bots) : "bot-${name}"], ["daily-cleanup", "restore"]))
  database_viewers = toset(["dashboard"])

  # What a plan reads and an apply changes: images, functions, schedules. The rest is changed by a person.
  deployer_roles = toset([
    "roles/artifactregistry.reader", "roles/bigquery.metadataViewer", "roles/cloudfunctions.developer",
    "roles/cloudscheduler.admin", "roles/iam.securityReviewer", "roles/logging.logWriter", "roles/logging.viewer",
    "roles/monitoring.viewer", "roles/pubsub.viewer", "roles/run.developer", "roles/secretmanager.viewer",
    "roles/serviceusage.serviceUsageViewer",
  ])
}

resource "google_service_account" "account" {
  for_each = local.accounts

  project      = var.project
  account_id   = each.key
  display_name = each.value

  depends_on = [google_project_service.api]
}

# Nothing more: what a bot wrote, it can neither list, nor overwrite, nor delete.
resource "google_project_iam_custom_role" "bot_objects" {
  project     = var.project
  role_id     = "tronBotObjects"
  title       = "Tron bot objects"
  description = "Create objects and read them by name."
  permissions = ["storage.objects.create", "storage.objects.get"]
}

resource "google_project_iam_custom_role" "object_keeper" {
  project     = var.project
  role_id     = "tronObjectKeeper"
  title       = "Tron object keeper"
  description = "Replace objects by compacted ones and delete what retention lets go; never on compliance-logs."
  permissions = [
    "storage.buckets.get", "storage.objects.create", "storage.objects.delete", "storage.objects.get", "storage.objects.list",
  ]
}

resource "google_project_iam_custom_role" "object_reader" {
  project     = var.project
  role_id     = "tronObjectReader"
  title       = "Tron object reader"
  description = "List and read objects."
  permissions = ["storage.buckets.get", "storage.objects.get", "storage.objects.list"]
}

resource "google_project_iam_custom_role" "plan_reader" {
  project     = var.project
  role_id     = "tronPlanReader"
  title       = "Tron plan reader"
  description = "See how things are set up, for a plan; no records."
  permissions = [
    "cloudbuild.builds.get", "datastore.backupSchedules.get", "datastore.backupSchedules.list", "datastore.databases.get",
    "datastore.databases.getMetadata", "datastore.indexes.get", "datastore.indexes.list", "firebaserules.releases.get",
    "firebaserules.rulesets.get", "iam.roles.get", "iam.serviceAccounts.get", "resourcemanager.projects.get",
    "storage.buckets.get", "storage.buckets.getIamPolicy",
  ]
}

resource "google_project_iam_custom_role" "tail" {
  project     = var.project
  role_id     = "tronTail"
  title       = "Tron tail"
  description = "Make a subscription for oneself, read it, and delete it."
  permissions = ["pubsub.subscriptions.consume", "pubsub.subscriptions.create", "pubsub.subscriptions.delete", "pubsub.subscriptions.get"]
}

resource "google_project_iam_member" "database_user" {
  for_each = local.database_users

  project = var.project
  role    = "roles/datastore.user"
  member  = local.members[each.key]

  condition {
    title      = "this-database"
    expression = local.this_database
  }

  depends_on = [google_service_account.account]
}

resource "google_project_iam_member" "database_viewer" {
  for_each = local.database_viewers

  project = var.project
  role    = "roles/datastore.viewer"
  member  = local.members[each.key]

  condition {
    title      = "this-database"
    expression = local.this_database
  }

  depends_on = [google_service_account.account]
}

resource "google_project_iam_member" "job_user" {
  for_each = toset(["bigquery-export", "dashboard"])

  project = var.project
  role    = "roles/bigquery.jobUser"
  member  = local.members[each.key]

  depends_on = [google_service_account.account]
}

resource "google_project_iam_member" "tail" {
  project = var.project
  role    = local.roles.tail
  member  = local.members["tail"]

  depends_on = [google_project_iam_custom_role.tail, google_service_account.account]
}

# A container on Cloud Run has its output collected; one on a machine sends it.
resource "google_project_iam_member" "machine" {
  for_each = merge([
    for role in ["roles/logging.logWriter", "roles/monitoring.metricWriter"] :
    { for name in keys(local.machines) : "${name}/${role}" => { bot = name, role = role } }
  ]...)

  project = var.project
  role    = each.value.role
  member  = local.members["bot-${each.value.bot}"]

  depends_on = [google_service_account.account]
}

resource "google_project_iam_member" "function_build" {
  project = var.project
  role    = "roles/logging.logWriter"
  member  = local.members["function-build"]

  depends_on = [google_service_account.account]
}

# Google copies the functions' archive into a bucket of its own before it builds.
resource "google_project_iam_member" "function_source" {
  project = var.project
  role    = "roles/storage.objectViewer"
  member  = local.members["function-build"]

  condition {
    title      = "copies-of-function-sources"
    expression = "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-${var.project_number}-\")"
  }

  depends_on = [google_service_account.account]
}

resource "google_project_iam_member" "build" {
  for_each = local.deployer_roles

  project = var.project
  role    = each.key
  member  = local.members["build"]

  depends_on = [google_service_account.account]
}

resource "google_project_iam_member" "plan_reader" {
  project = var.project
  role    = local.roles.plan_reader
  member  = local.members["build"]

  depends_on = [google_project_iam_custom_role.plan_reader, google_service_account.account]
}

# A deployer lets a service run as its own account and as no other.
resource "google_service_account_iam_member" "deploys_as" {
  for_each = setsubtract(keys(local.accounts), ["audit", "build", "events-writer", "restore", "tail"])

  service_account_id = google_service_account.account[each.key].name
  role               = "roles/iam.serviceAccountUser"
  member             = local.members["build"]
}

# Pub/Sub writes and calls in the name of accounts that may do only that.
resource "google_service_account_iam_member" "pubsub" {
  for_each = toset(["events-writer", "push"])

  service_account_id = google_service_account.account[each.key].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = local.pubsub_agent
}

resource "google_service_account_iam_member" "operator" {
  for_each = merge([for account in ["audit", "restore", "tail"] : { for person in var.operators : "${account}/${person}" => { account = account, person = person } }]...)

  service_account_id = google_service_account.account[each.value.account].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = each.value.person
}
