# The archive. Objects are created and never overwritten; they leave by their age, as runner/logging/retention.py says.

resource "google_storage_bucket" "archive" {
  # checkov:skip=CKV_GCP_62: who reads and writes objects is in the audit log (services.tf), not in a bucket of logs
  # checkov:skip=CKV_GCP_78: objects are never overwritten, and a retention policy does not go with versions
  for_each = var.buckets

  project                     = var.project
  name                        = local.bucket_names[each.key]
  location                    = var.second_region == null ? upper(var.region) : local.continent[split("-", var.region)[0]]
  storage_class               = "STANDARD"
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false
  deletion_policy             = local.keep || each.value.retention_seconds != null ? "PREVENT" : "DELETE"
  labels                      = merge(local.labels, { bucket = each.key })

  dynamic "custom_placement_config" {
    for_each = var.second_region == null ? [] : [upper(var.region)]

    content {
      data_locations = [custom_placement_config.value, upper(var.second_region)]
    }
  }

  dynamic "lifecycle_rule" {
    for_each = each.value.moves

    content {
      action {
        type          = "SetStorageClass"
        storage_class = lifecycle_rule.key
      }
      condition {
        age              = lifecycle_rule.value
        size_above_bytes = each.value.moved_above_bytes
      }
    }
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age = each.value.days
    }
  }

  dynamic "retention_policy" {
    for_each = each.value.retention_seconds == null ? [] : [each.value.retention_seconds]

    content {
      retention_period = tostring(retention_policy.value)
      is_locked        = var.compliance_lock
    }
  }

  # A week in which an object that was deleted by mistake can be restored.
  soft_delete_policy {
    retention_duration_seconds = 604800
  }

  dynamic "encryption" {
    for_each = var.kms_key[*]

    content {
      default_kms_key_name = encryption.value
    }
  }

  depends_on = [google_project_service.api]
}

# Archives of the functions' code, named by their content.
resource "google_storage_bucket" "source" {
  # checkov:skip=CKV_GCP_62: who reads and writes objects is in the audit log (services.tf), not in a bucket of logs
  # checkov:skip=CKV_GCP_78: an archive is named by its content, so it is never overwritten
  project                     = var.project
  name                        = "${var.prefix}-tron-source"
  location                    = upper(var.region)
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = !local.keep
  labels                      = local.labels

  soft_delete_policy {
    retention_duration_seconds = 604800
  }

  dynamic "encryption" {
    for_each = var.kms_key[*]

    content {
      default_kms_key_name = encryption.value
    }
  }

  depends_on = [google_project_service.api]
}

# Bots create objects and look at what they created. They cannot list, overwrite or delete.
resource "google_storage_bucket_iam_member" "bot" {
  for_each = merge([for name in keys(var.bots) : { for bucket in keys(var.buckets) : "${name}/${bucket}" => { bot = name, bucket = bucket } }]...)

  bucket = google_storage_bucket.archive[each.value.bucket].name
  role   = local.roles.bot_objects
  member = local.members["bot-${each.value.bot}"]

  depends_on = [google_project_iam_custom_role.bot_objects, google_service_account.account]
}

# Compaction and clean-up replace and delete, everywhere but in compliance-logs.
resource "google_storage_bucket_iam_member" "keeper" {
  for_each = merge([for name in ["compact-archive", "daily-cleanup"] : { for bucket in local.swept : "${name}/${bucket}" => { account = name, bucket = bucket } }]...)

  bucket = google_storage_bucket.archive[each.value.bucket].name
  role   = local.roles.object_keeper
  member = local.members[each.value.account]

  depends_on = [google_project_iam_custom_role.object_keeper, google_service_account.account]
}

resource "google_storage_bucket_iam_member" "reader" {
  for_each = merge(
    { for bucket in local.swept : "bigquery-export/${bucket}" => { account = "bigquery-export", bucket = bucket } },
    { for bucket in keys(var.buckets) : "cost-report/${bucket}" => { account = "cost-report", bucket = bucket } },
    { for bucket in keys(var.buckets) : "audit/${bucket}" => { account = "audit", bucket = bucket } },
    { for bucket in keys(var.buckets) : "restore/${bucket}" => { account = "restore", bucket = bucket } },
  )

  bucket = google_storage_bucket.archive[each.value.bucket].name
  role   = local.roles.object_reader
  member = local.members[each.value.account]

  depends_on = [google_project_iam_custom_role.object_reader, google_service_account.account]
}

# What a shipper printed because it could not ship it, `tron recover` puts where it belongs.
resource "google_storage_bucket_iam_member" "recover" {
  for_each = var.buckets

  bucket = google_storage_bucket.archive[each.key].name
  role   = local.roles.bot_objects
  member = local.members["restore"]

  depends_on = [google_project_iam_custom_role.bot_objects, google_service_account.account]
}

# What cannot be exported is noted beside the archive, and the note goes when it could be.
resource "google_storage_bucket_iam_member" "set_aside" {
  bucket = google_storage_bucket.archive["system-logs"].name
  role   = local.roles.object_keeper
  member = local.members["bigquery-export"]

  condition {
    title      = "notes-of-the-export"
    expression = "resource.name.startsWith(\"projects/_/buckets/${local.bucket_names["system-logs"]}/objects/exports/\")"
  }

  depends_on = [google_project_iam_custom_role.object_keeper, google_service_account.account]
}

resource "google_storage_bucket_iam_member" "source" {
  bucket = google_storage_bucket.source.name
  role   = "roles/storage.objectCreator"
  member = local.members["build"]

  depends_on = [google_service_account.account]
}

resource "google_storage_bucket_iam_member" "source_reader" {
  bucket = google_storage_bucket.source.name
  role   = "roles/storage.objectViewer"
  member = local.members["function-build"]

  depends_on = [google_service_account.account]
}

resource "google_storage_bucket_iam_member" "state" {
  for_each = toset(var.state_bucket[*])

  bucket = each.key
  role   = "roles/storage.objectUser"
  member = local.members["build"]

  depends_on = [google_service_account.account]
}
