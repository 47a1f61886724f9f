# The operator's board: what runs, what waits, what is said, what it costs in operations.

locals {
  # Title, filter, aligner, and what series are summed by.
  charts = [
    ["Bots that run", "metric.type=\"run.googleapis.com/container/instance_count\" resource.type=\"cloud_run_worker_pool\"", "ALIGN_MAX", "resource.labels.worker_pool_name"],
    ["Memory of bots (the home counts)", "metric.type=\"run.googleapis.com/container/memory/utilizations\" resource.type=\"cloud_run_worker_pool\"", "ALIGN_PERCENTILE_99", "resource.labels.worker_pool_name"],
    ["Tries of shippers", "metric.type=\"logging.googleapis.com/user/tron/shipper-lag\"", "ALIGN_SUM", "metric.type"],
    ["Errors of bots", "metric.type=\"logging.googleapis.com/user/tron/bot-error\"", "ALIGN_SUM", "metric.type"],
    ["Risk events", "metric.type=\"logging.googleapis.com/user/tron/risk-event\"", "ALIGN_SUM", "metric.type"],
    ["Dead letters", "metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" resource.type=\"pubsub_subscription\" resource.labels.subscription_id=\"tron-records-dead-letter\"", "ALIGN_MAX", "resource.labels.subscription_id"],
    ["Age of the oldest message", "metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" resource.type=\"pubsub_subscription\"", "ALIGN_MAX", "resource.labels.subscription_id"],
    ["Firestore writes", "metric.type=\"firestore.googleapis.com/document/write_ops_count\" resource.type=\"firestore.googleapis.com/Database\"", "ALIGN_RATE", "resource.labels.database_id"],
    ["Firestore deletes by TTL", "metric.type=\"firestore.googleapis.com/document/ttl_deletion_count\" resource.type=\"firestore.googleapis.com/Database\"", "ALIGN_RATE", "resource.labels.database_id"],
    ["Archive requests", "metric.type=\"storage.googleapis.com/api/request_count\" resource.type=\"gcs_bucket\"", "ALIGN_RATE", "metric.labels.method"],
    ["Archive bytes", "metric.type=\"storage.googleapis.com/storage/v2/total_bytes\" resource.type=\"gcs_bucket\"", "ALIGN_MAX", "resource.labels.bucket_name"],
    ["Function calls that failed", "metric.type=\"run.googleapis.com/request_count\" resource.type=\"cloud_run_revision\" metric.labels.response_code_class!=\"2xx\"", "ALIGN_RATE", "resource.labels.service_name"],
  ]
}

resource "google_monitoring_dashboard" "tron" {
  project = var.project

  dashboard_json = jsonencode({
    displayName = "tron"
    labels      = { for key, value in local.labels : key => value }
    mosaicLayout = {
      columns = 12
      tiles = [
        for place, chart in local.charts : {
          xPos   = place % 3 * 4
          yPos   = floor(place / 3) * 4
          width  = 4
          height = 4
          widget = {
            title = chart[0]
            xyChart = {
              dataSets = [{
                plotType = "LINE"
                timeSeriesQuery = {
                  timeSeriesFilter = {
                    filter = chart[1]
                    aggregation = {
                      alignmentPeriod    = "300s"
                      perSeriesAligner   = chart[2]
                      crossSeriesReducer = "REDUCE_SUM"
                      groupByFields      = chart[3] == "metric.type" ? [] : [chart[3]]
                    }
                  }
                }
              }]
            }
          }
        }
      ]
    }
  })
}
