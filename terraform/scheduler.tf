# When functions are called. A call that fails is tried again; one that ran out of time goes on with the next call.

resource "google_cloud_scheduler_job" "function" {
  for_each = local.scheduled

  project          = var.project
  region           = var.region
  name             = each.key
  description      = "Calls the function ${each.key}"
  schedule         = coalesce(lookup(var.schedules, each.key, null), each.value.schedule)
  time_zone        = "Etc/UTC"
  attempt_deadline = "${each.value.seconds + 30}s"
  paused           = contains(keys(var.schedules), each.key) && lookup(var.schedules, each.key, null) == null

  http_target {
    http_method = "POST"
    uri         = local.function_urls[each.key]
    body        = base64encode("{}")
    headers     = { Content-Type = "application/json" }

    oidc_token {
      service_account_email = trimprefix(local.members["scheduler"], "serviceAccount:")
      audience              = local.function_urls[each.key]
    }
  }

  retry_config {
    retry_count          = 3
    min_backoff_duration = "60s"
    max_backoff_duration = "600s"
    max_doublings        = 3
  }

  depends_on = [google_cloud_run_v2_service_iam_member.scheduler]
}
