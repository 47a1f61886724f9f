# The APIs. Nothing is switched off when this folder is destroyed: others may use them.

locals {
  apis = toset([
    "artifactregistry", "bigquery", "billingbudgets", "cloudbuild", "cloudfunctions", "cloudscheduler", "compute",
    "firebaserules", "firestore", "iam", "iamcredentials", "iap", "logging", "monitoring", "pubsub", "run",
    "secretmanager", "storage",
  ])
}

resource "google_project_service" "api" {
  for_each = local.apis

  project            = var.project
  service            = "${each.key}.googleapis.com"
  disable_on_destroy = false
}

# Who read or changed records and secrets.
resource "google_project_iam_audit_config" "data" {
  for_each = toset(["secretmanager", "storage"])

  project = var.project
  service = "${each.key}.googleapis.com"

  audit_log_config {
    log_type = "DATA_READ"
  }
  audit_log_config {
    log_type = "DATA_WRITE"
  }

  depends_on = [google_project_service.api]
}
