locals {
  labels = merge(var.labels, { app = "tron", environment = var.environment, managed-by = "terraform" })

  # What holds records is protected in prod; elsewhere it may go.
  keep = var.environment == "prod"

  bucket_names = { for name in keys(var.buckets) : name => "${var.prefix}-tron-${name}" }
  places       = { primary = var.region, second = var.second_region }
  continent    = { us = "US", europe = "EU", asia = "ASIA" }

  # Everything but what only an auditor reads: whoever deletes, deletes here and nowhere else.
  swept = toset([for name, bucket in var.buckets : name if bucket.retention_seconds == null])

  stores = {
    TRON_ARCHIVE    = "gs://${var.prefix}"
    TRON_LIVE_STORE = "firestore://${var.project}/${var.database}"
    TRON_STREAM     = "pubsub://${var.project}"
    TRON_WAREHOUSE  = "bigquery://${var.project}/${var.dataset}?location=${var.region}"
  }
  common = {
    ENVIRONMENT          = var.environment
    GOOGLE_CLOUD_PROJECT = var.project
  }

  # What a bot and its shipper are told. Functions fill the warehouse and sweep: no bot may list, delete or ask it.
  bot_stores = { for name, url in local.stores : name => url if name != "TRON_WAREHOUSE" }
  bot_environment = {
    for name, bot in var.bots : name => merge(bot.environment, local.common, local.bot_stores, {
      TRON_BOT     = name
      TRON_CHORES  = "false"
      TRON_HOME    = local.home
      TRON_SHIPPER = "none"
    })
  }
  home         = "/var/lib/tron"
  pools        = { for name, bot in var.bots : name => bot if bot.machine == null }
  machines     = { for name, bot in var.bots : name => bot if bot.machine != null }
  bot_secrets  = merge([for name, bot in var.bots : { for secret in toset(concat(values(bot.secrets), compact([bot.config_secret]))) : "${name}/${secret}" => { bot = name, secret = secret } }]...)
  is_dashboard = var.dashboard != null

  # Addresses of service accounts are built and not read, so that a plan shows every member before anything exists.
  domain        = "${var.project}.iam.gserviceaccount.com"
  pubsub_agent  = "serviceAccount:service-${var.project_number}@gcp-sa-pubsub.iam.gserviceaccount.com"
  iap_agent     = "serviceAccount:service-${var.project_number}@gcp-sa-iap.iam.gserviceaccount.com"
  this_database = "resource.name == \"projects/${var.project}/databases/${var.database}\""
}
