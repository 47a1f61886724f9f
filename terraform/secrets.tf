# Secrets without their values: a value that Terraform knows is in its state, in plain text.

resource "google_secret_manager_secret" "secret" {
  for_each = var.secrets

  project             = var.project
  secret_id           = each.key
  version_destroy_ttl = "86400s"
  labels              = local.labels

  replication {
    dynamic "user_managed" {
      for_each = [compact([var.region, var.second_region])]

      content {
        dynamic "replicas" {
          for_each = user_managed.value

          content {
            location = replicas.value

            dynamic "customer_managed_encryption" {
              for_each = var.kms_key[*]

              content {
                kms_key_name = customer_managed_encryption.value
              }
            }
          }
        }
      }
    }
  }

  depends_on = [google_project_service.api]
}

# Each bot reads its own.
resource "google_secret_manager_secret_iam_member" "bot" {
  for_each = local.bot_secrets

  project   = var.project
  secret_id = google_secret_manager_secret.secret[each.value.secret].secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = local.members["bot-${each.value.bot}"]

  depends_on = [google_service_account.account]
}
