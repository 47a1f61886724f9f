# The warehouse, filled from archive objects only, and what Pub/Sub writes beside it.

locals {
  views = { for name, view in var.warehouse.views : name => merge(view, { sql = replace(replace(view.sql, "PROJECT_ID", var.project), "DATASET_ID", var.dataset) }) }
  view_levels = [
    for level in range(3) : { for name, view in local.views : name => view.sql if view.level == level }
  ]
}

resource "google_bigquery_dataset" "warehouse" {
  project                    = var.project
  dataset_id                 = var.dataset
  location                   = var.region
  description                = "Records of trading bots, loaded from the archive"
  max_time_travel_hours      = "168"
  delete_contents_on_destroy = !local.keep
  deletion_policy            = local.keep ? "PREVENT" : "DELETE"
  labels                     = local.labels

  dynamic "default_encryption_configuration" {
    for_each = var.kms_key[*]

    content {
      kms_key_name = default_encryption_configuration.value
    }
  }

  depends_on = [google_project_service.api]
}

resource "google_bigquery_table" "table" {
  # checkov:skip=CKV_GCP_80: the dataset's key encrypts its tables, where there is one
  # checkov:skip=CKV_GCP_121: tables are protected in prod; a dev environment can be destroyed
  for_each = var.warehouse.tables

  project             = var.project
  dataset_id          = google_bigquery_dataset.warehouse.dataset_id
  table_id            = each.key
  deletion_protection = local.keep
  clustering          = length(each.value.cluster) > 0 ? each.value.cluster : null
  labels              = local.labels

  schema = jsonencode([for column in each.value.columns : { for key, value in column : key => value if value != null }])

  time_partitioning {
    type  = "DAY"
    field = each.value.day
  }
}

# Seconds after a bot said it, not exactly once, for a week. It counts in no comparison with the archive.
resource "google_bigquery_table" "events_stream" {
  # checkov:skip=CKV_GCP_80: the dataset's key encrypts its tables, where there is one
  # checkov:skip=CKV_GCP_121: what it holds expires after a week anyway
  project             = var.project
  dataset_id          = google_bigquery_dataset.warehouse.dataset_id
  table_id            = "events_stream"
  description         = "Records as Pub/Sub delivered them, perhaps twice, for seven days"
  deletion_protection = false
  labels              = local.labels

  schema = jsonencode([
    { name = "subscription_name", type = "STRING", mode = "NULLABLE" },
    { name = "message_id", type = "STRING", mode = "NULLABLE" },
    { name = "publish_time", type = "TIMESTAMP", mode = "NULLABLE" },
    { name = "attributes", type = "JSON", mode = "NULLABLE" },
    { name = "data", type = "JSON", mode = "NULLABLE" },
  ])

  time_partitioning {
    type          = "DAY"
    field         = "publish_time"
    expiration_ms = 7 * 24 * 60 * 60 * 1000
  }
}

# A view stands on tables and on views of lower levels, and BigQuery wants these to be there first.
resource "google_bigquery_table" "view" {
  # checkov:skip=CKV_GCP_80: a view stores nothing
  # checkov:skip=CKV_GCP_121: a view stores nothing, and is replaced when its query changes
  for_each = local.view_levels[0]

  project             = var.project
  dataset_id          = google_bigquery_dataset.warehouse.dataset_id
  table_id            = each.key
  deletion_protection = false
  labels              = local.labels

  view {
    query          = each.value
    use_legacy_sql = false
  }

  depends_on = [google_bigquery_table.table]
}

resource "google_bigquery_table" "view_of_views" {
  # checkov:skip=CKV_GCP_80: a view stores nothing
  # checkov:skip=CKV_GCP_121: a view stores nothing, and is replaced when its query changes
  for_each = local.view_levels[1]

  project             = var.project
  dataset_id          = google_bigquery_dataset.warehouse.dataset_id
  table_id            = each.key
  deletion_protection = false
  labels              = local.labels

  view {
    query          = each.value
    use_legacy_sql = false
  }

  depends_on = [google_bigquery_table.view]
}

resource "google_bigquery_table" "summary_view" {
  # checkov:skip=CKV_GCP_80: a view stores nothing
  # checkov:skip=CKV_GCP_121: a view stores nothing, and is replaced when its query changes
  for_each = local.view_levels[2]

  project             = var.project
  dataset_id          = google_bigquery_dataset.warehouse.dataset_id
  table_id            = each.key
  deletion_protection = false
  labels              = local.labels

  view {
    query          = each.value
    use_legacy_sql = false
  }

  depends_on = [google_bigquery_table.view_of_views]
}

resource "google_bigquery_dataset_iam_member" "editor" {
  project    = var.project
  dataset_id = google_bigquery_dataset.warehouse.dataset_id
  role       = "roles/bigquery.dataEditor"
  member     = local.members["bigquery-export"]

  depends_on = [google_service_account.account]
}

resource "google_bigquery_dataset_iam_member" "viewer" {
  project    = var.project
  dataset_id = google_bigquery_dataset.warehouse.dataset_id
  role       = "roles/bigquery.dataViewer"
  member     = local.members["dashboard"]

  depends_on = [google_service_account.account]
}

resource "google_bigquery_table_iam_member" "events_writer" {
  project    = var.project
  dataset_id = google_bigquery_dataset.warehouse.dataset_id
  table_id   = google_bigquery_table.events_stream.table_id
  role       = "roles/bigquery.dataEditor"
  member     = local.members["events-writer"]

  depends_on = [google_service_account.account]
}
