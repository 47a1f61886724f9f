# Cloud Build follows a branch. Somebody approves before anything runs, always so in prod.

resource "google_cloudbuild_trigger" "deploy" {
  count = var.build == null ? 0 : 1

  project         = var.project
  location        = var.region
  name            = "tron-deploy"
  description     = "Test, build, plan and apply what is on the branch"
  filename        = "cloudbuild.yaml"
  service_account = "projects/${var.project}/serviceAccounts/build@${local.domain}"

  repository_event_config {
    repository = var.build.repository

    push {
      branch = var.build.branch
    }
  }

  approval_config {
    approval_required = var.build.approval
  }

  substitutions = merge(var.build.substitutions, {
    _ENVIRONMENT  = var.environment
    _REGION       = var.region
    _REPOSITORY   = "${var.region}-docker.pkg.dev/${var.project}/tron"
    _SOURCE       = "${var.prefix}-tron-source"
    _STATE_BUCKET = var.state_bucket
  })

  depends_on = [google_project_service.api, google_service_account.account]
}
