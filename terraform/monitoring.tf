# What somebody must be told of. The board of everything is in addons/.

locals {
  # Cloud Run has lines that are not JSON in textPayload, a machine in jsonPayload.message.
  of_bots = "(resource.type=\"cloud_run_worker_pool\" OR logName:\"cos_containers\")"

  # What the log is searched for: an alert for each, and a counter for the board.
  log_alerts = {
    shipper-lag = {
      description = "A shipper tried ten times or more to reach a store: the journal waits, and on a worker pool the journal is memory."
      filter      = "${local.of_bots} AND (textPayload=~\"try [0-9]{2,}; it goes on trying\" OR jsonPayload.message=~\"try [0-9]{2,}; it goes on trying\")"
      severity    = "ERROR"
      what        = "look at the shipper's log for the store and the reason; nothing is lost while the instance lives"
    }
    journal-full = {
      description = "A journal is full: bots refuse trades."
      filter      = "${local.of_bots} AND (textPayload=~\"JournalFull|journal in .* is full|journal's disk is full\" OR jsonPayload.message=~\"JournalFull|journal in .* is full|journal's disk is full\")"
      severity    = "CRITICAL"
      what        = "find out why the shipper lags; then give the bot a larger home (home_mib)"
    }
    left-records = {
      description = "A shipper ended before everything was shipped, and printed what was left."
      filter      = "${local.of_bots} AND (jsonPayload.message=~\"^unshipped \" OR jsonPayload.message=~\"\\\"unshipped \")"
      severity    = "CRITICAL"
      what        = "read them back with `tron recover`: docs/backup.md"
    }
    risk-event = {
      description = "A bot was halted, or a limit was crossed."
      filter      = "resource.labels.service_name=\"on-trading-record\" AND labels.kind=\"risk_event\" AND severity>=WARNING"
      severity    = "WARNING"
      what        = "see the dashboard; `tron resume` needs a name"
    }
    bot-error = {
      description = "A bot recorded an error."
      filter      = "resource.labels.service_name=\"on-trading-record\" AND labels.kind=\"error\""
      severity    = "WARNING"
      what        = "tron search error"
    }
    function-failed = {
      description = "A function could not do its work."
      filter      = "resource.labels.service_name=(\"bigquery-export\" OR \"compact-archive\" OR \"cost-report\" OR \"daily-cleanup\") AND severity>=ERROR"
      severity    = "ERROR"
      what        = "the function's log has the reason and a hint"
    }
  }
  channels = [for channel in google_monitoring_notification_channel.email : channel.name]
}

resource "google_monitoring_notification_channel" "email" {
  for_each = toset(var.alert_emails)

  project      = var.project
  display_name = each.key
  type         = "email"
  labels       = { email_address = each.key }
  user_labels  = local.labels

  depends_on = [google_project_service.api]
}

resource "google_logging_metric" "said" {
  for_each = local.log_alerts

  project     = var.project
  name        = "tron/${each.key}"
  description = each.value.description
  filter      = each.value.filter

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
  }

  depends_on = [google_project_service.api]
}

resource "google_monitoring_alert_policy" "said" {
  for_each = local.log_alerts

  project               = var.project
  display_name          = "tron: ${each.key}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = local.channels
  user_labels           = local.labels

  conditions {
    display_name = each.value.description

    condition_matched_log {
      filter = each.value.filter
    }
  }

  alert_strategy {
    auto_close = "86400s"

    notification_rate_limit {
      period = "900s"
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = "${each.value.description} What to do: ${each.value.what}"
  }
}

resource "google_monitoring_alert_policy" "dead_letters" {
  project               = var.project
  display_name          = "tron: dead-letters"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = local.channels
  user_labels           = local.labels

  conditions {
    display_name = "Messages lie in the subscription of dead letters"

    condition_threshold {
      filter          = "resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=\"${google_pubsub_subscription.dead_letters.name}\" AND metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\""
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"

      aggregations {
        alignment_period   = "300s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }

  alert_strategy {
    auto_close = "86400s"
  }

  documentation {
    mime_type = "text/markdown"
    content   = "A listener gave a message back ${var.stream.delivery_attempts} times. Look at it: gcloud pubsub subscriptions pull ${google_pubsub_subscription.dead_letters.name} --limit=10"
  }
}

# Messages that wait for hours have nobody who takes them.
resource "google_monitoring_alert_policy" "stream_waits" {
  project               = var.project
  display_name          = "tron: stream-waits"
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = local.channels
  user_labels           = local.labels

  conditions {
    display_name = "The oldest message of a subscription is an hour old"

    condition_threshold {
      filter          = "resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=monitoring.regex.full_match(\"tron-(events-stream|on-trading-record)\") AND metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\""
      comparison      = "COMPARISON_GT"
      threshold_value = 3600
      duration        = "300s"

      aggregations {
        alignment_period   = "300s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = "See the subscription's page for the errors of the table or of the function."
  }
}
