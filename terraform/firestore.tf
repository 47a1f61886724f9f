# Live documents: the last state of everything, each of which expires by itself.

resource "google_firestore_database" "live" {
  project                           = var.project
  name                              = var.database
  location_id                       = var.region
  type                              = "FIRESTORE_NATIVE"
  concurrency_mode                  = "OPTIMISTIC"
  app_engine_integration_mode       = "DISABLED"
  point_in_time_recovery_enablement = local.keep ? "POINT_IN_TIME_RECOVERY_ENABLED" : "POINT_IN_TIME_RECOVERY_DISABLED"
  delete_protection_state           = local.keep ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy                   = local.keep ? "PREVENT" : "DELETE"

  dynamic "cmek_config" {
    for_each = var.kms_key[*]

    content {
      kms_key_name = cmek_config.value
    }
  }

  depends_on = [google_project_service.api]
}

# `*` switches automatic indexes off; what queries need is switched on again. `expire_at` deletes documents.
resource "google_firestore_field" "live" {
  for_each = merge([
    for collection, said in var.firestore.collections :
    { for name, field in said.fields : "${collection}/${name}" => merge(field, { collection = collection, name = name }) }
  ]...)

  project    = var.project
  database   = google_firestore_database.live.name
  collection = each.value.collection
  field      = each.value.name

  index_config {
    dynamic "indexes" {
      for_each = each.value.orders

      content {
        query_scope = "COLLECTION"
        order       = indexes.value
      }
    }
  }

  dynamic "ttl_config" {
    for_each = each.value.ttl ? [true] : []

    content {}
  }
}

resource "google_firestore_index" "live" {
  for_each = var.firestore.indexes

  project     = var.project
  database    = google_firestore_database.live.name
  collection  = each.value.collection
  query_scope = "COLLECTION"

  dynamic "fields" {
    for_each = each.value.fields

    content {
      field_path = fields.value.field
      order      = fields.value.order
    }
  }
}

# Live state follows from the archive; a backup is the faster way back.
resource "google_firestore_backup_schedule" "daily" {
  count = local.keep ? 1 : 0

  project   = var.project
  database  = google_firestore_database.live.name
  retention = "604800s"

  daily_recurrence {}
}

# Service accounts pass by the rules; everybody else is refused. The tests of the rules use the same file.
resource "google_firebaserules_ruleset" "closed" {
  project = var.project

  source {
    files {
      name    = "firestore.rules"
      content = var.firestore.rules
    }
  }

  depends_on = [google_project_service.api]
}

resource "google_firebaserules_release" "closed" {
  project      = var.project
  name         = "cloud.firestore/${google_firestore_database.live.name}"
  ruleset_name = "projects/${var.project}/rulesets/${google_firebaserules_ruleset.closed.name}"
}
