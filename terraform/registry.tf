# Images: a tag stays where it is, what nobody tagged goes after a month, and the ten newest stay.

resource "google_artifact_registry_repository" "images" {
  # checkov:skip=CKV_GCP_84: encrypted with kms_key where there is one, otherwise by Google
  project       = var.project
  location      = var.region
  repository_id = "tron"
  description   = "Images of bots, shippers and dashboard"
  format        = "DOCKER"
  kms_key_name  = var.kms_key
  labels        = local.labels

  docker_config {
    immutable_tags = true
  }

  cleanup_policies {
    id     = "delete-untagged"
    action = "DELETE"

    condition {
      tag_state  = "UNTAGGED"
      older_than = "2592000s"
    }
  }

  cleanup_policies {
    id     = "keep-newest"
    action = "KEEP"

    most_recent_versions {
      keep_count = 10
    }
  }

  depends_on = [google_project_service.api]
}

# What Google builds from the functions' archive; it moves tags of its own, so they are not immutable here.
resource "google_artifact_registry_repository" "functions" {
  # checkov:skip=CKV_GCP_84: encrypted with kms_key where there is one, otherwise by Google
  project       = var.project
  location      = var.region
  repository_id = "tron-functions"
  description   = "Containers of the functions"
  format        = "DOCKER"
  kms_key_name  = var.kms_key
  labels        = local.labels

  cleanup_policies {
    id     = "delete-untagged"
    action = "DELETE"

    condition {
      tag_state  = "UNTAGGED"
      older_than = "2592000s"
    }
  }

  depends_on = [google_project_service.api]
}

resource "google_artifact_registry_repository_iam_member" "images_writer" {
  project    = var.project
  location   = var.region
  repository = google_artifact_registry_repository.images.repository_id
  role       = "roles/artifactregistry.writer"
  member     = local.members["build"]

  depends_on = [google_service_account.account]
}

resource "google_artifact_registry_repository_iam_member" "functions_writer" {
  project    = var.project
  location   = var.region
  repository = google_artifact_registry_repository.functions.repository_id
  role       = "roles/artifactregistry.writer"
  member     = local.members["function-build"]

  depends_on = [google_service_account.account]
}

# Cloud Run fetches images by itself; a machine fetches them as its bot.
resource "google_artifact_registry_repository_iam_member" "reader" {
  for_each = local.machines

  project    = var.project
  location   = var.region
  repository = google_artifact_registry_repository.images.repository_id
  role       = "roles/artifactregistry.reader"
  member     = local.members["bot-${each.key}"]

  depends_on = [google_service_account.account]
}
