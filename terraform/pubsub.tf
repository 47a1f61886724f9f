# The stream: every record as a message, for whoever listens now.

locals {
  subscriptions = merge(
    { events-stream = google_pubsub_subscription.events_stream.name },
    { for subscription in google_pubsub_subscription.on_trading_record : "on-trading-record" => subscription.name },
  )
}

resource "google_pubsub_topic" "records" {
  # checkov:skip=CKV_GCP_83: encrypted with kms_key where there is one, otherwise by Google
  project                    = var.project
  name                       = var.stream.topic
  kms_key_name               = var.kms_key
  message_retention_duration = "604800s"
  labels                     = local.labels

  message_storage_policy {
    allowed_persistence_regions = compact([var.region, var.second_region])
  }

  depends_on = [google_project_service.api]
}

resource "google_pubsub_topic" "dead_letters" {
  # checkov:skip=CKV_GCP_83: encrypted with kms_key where there is one, otherwise by Google
  project      = var.project
  name         = var.stream.dead_letters
  kms_key_name = var.kms_key
  labels       = local.labels

  message_storage_policy {
    allowed_persistence_regions = compact([var.region, var.second_region])
  }

  depends_on = [google_project_service.api]
}

# Without it dead letters would be lost: a topic keeps nothing for subscriptions that come later.
resource "google_pubsub_subscription" "dead_letters" {
  project                    = var.project
  name                       = var.stream.dead_letters
  topic                      = google_pubsub_topic.dead_letters.id
  message_retention_duration = "604800s"
  labels                     = local.labels

  expiration_policy {
    ttl = ""
  }
}

# Whole records go into one JSON column: a field that a later version adds is never refused.
resource "google_pubsub_subscription" "events_stream" {
  project                    = var.project
  name                       = "tron-events-stream"
  topic                      = google_pubsub_topic.records.id
  ack_deadline_seconds       = 60
  message_retention_duration = "604800s"
  labels                     = local.labels

  bigquery_config {
    table                 = "${var.project}.${var.dataset}.${google_bigquery_table.events_stream.table_id}"
    use_table_schema      = false
    use_topic_schema      = false
    write_metadata        = true
    service_account_email = trimprefix(local.members["events-writer"], "serviceAccount:")
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letters.id
    max_delivery_attempts = var.stream.delivery_attempts
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  expiration_policy {
    ttl = ""
  }

  depends_on = [google_bigquery_table_iam_member.events_writer, google_service_account_iam_member.pubsub]
}

# Risk events and errors, for alerts. What is no record is tried again and becomes a dead letter.
resource "google_pubsub_subscription" "on_trading_record" {
  count = local.are_functions ? 1 : 0

  project                    = var.project
  name                       = "tron-on-trading-record"
  topic                      = google_pubsub_topic.records.id
  filter                     = "attributes.stream = \"risk\" OR attributes.stream = \"errors\""
  ack_deadline_seconds       = 60
  message_retention_duration = "604800s"
  labels                     = local.labels

  push_config {
    push_endpoint = local.function_urls["on-trading-record"]

    oidc_token {
      service_account_email = trimprefix(local.members["push"], "serviceAccount:")
      audience              = local.function_urls["on-trading-record"]
    }
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letters.id
    max_delivery_attempts = var.stream.delivery_attempts
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  expiration_policy {
    ttl = ""
  }

  depends_on = [google_cloud_run_v2_service_iam_member.push, google_service_account_iam_member.pubsub]
}

resource "google_pubsub_topic_iam_member" "publisher" {
  for_each = var.bots

  project = var.project
  topic   = google_pubsub_topic.records.name
  role    = "roles/pubsub.publisher"
  member  = local.members["bot-${each.key}"]

  depends_on = [google_service_account.account]
}

resource "google_pubsub_topic_iam_member" "tail" {
  project = var.project
  topic   = google_pubsub_topic.records.name
  role    = "roles/pubsub.subscriber"
  member  = local.members["tail"]

  depends_on = [google_service_account.account]
}

# Pub/Sub itself moves dead letters: off the subscription and onto their topic.
resource "google_pubsub_topic_iam_member" "dead_letters" {
  project = var.project
  topic   = google_pubsub_topic.dead_letters.name
  role    = "roles/pubsub.publisher"
  member  = local.pubsub_agent
}

resource "google_pubsub_subscription_iam_member" "dead_letters" {
  for_each = local.subscriptions

  project      = var.project
  subscription = each.value
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}
