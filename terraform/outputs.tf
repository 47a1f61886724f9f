output "buckets" {
  description = "Names of the archive's buckets."
  value       = { for name, bucket in google_storage_bucket.archive : name => bucket.name }

  depends_on = [google_storage_bucket_iam_member.bot, google_storage_bucket_iam_member.keeper, google_storage_bucket_iam_member.reader]
}

output "dashboard" {
  description = "Address of the dashboard; null where there is none."
  value       = one([for service in google_cloud_run_v2_service.dashboard : "https://${service.name}-${var.project_number}.${var.region}.run.app"])

  depends_on = [google_cloud_run_v2_service_iam_member.iap, google_iap_web_cloud_run_service_iam_member.people]
}

output "functions" {
  description = "Addresses of the functions, by name; only this project's Cloud Scheduler and Pub/Sub reach them."
  value       = local.function_urls

  depends_on = [google_cloud_run_v2_service_iam_member.push, google_cloud_run_v2_service_iam_member.scheduler]
}

output "machines" {
  description = "Bots that run on a machine, for addons/: what they run, as whom, and what they are told."
  value = {
    for name, bot in local.machines : name => {
      arguments       = concat(local.containers.bot, bot.arguments)
      config_secret   = bot.config_secret
      disk_gb         = bot.machine.disk_gb
      environment     = local.bot_environment[name]
      home            = local.home
      image           = coalesce(bot.image, var.image)
      running         = bot.running
      secrets         = bot.secrets
      service_account = trimprefix(local.members["bot-${name}"], "serviceAccount:")
      shipper         = local.containers.shipper
      type            = bot.machine.type
      zone            = bot.machine.zone
    }
  }

  depends_on = [google_project_iam_member.database_user, google_pubsub_topic_iam_member.publisher, google_storage_bucket_iam_member.bot]
}

output "registry" {
  description = "Where images are pushed."
  value       = "${var.region}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.images.repository_id}"

  depends_on = [google_artifact_registry_repository_iam_member.images_writer]
}

output "source_bucket" {
  description = "Bucket that the functions' archive is copied to before it is named in functions_archive."
  value       = google_storage_bucket.source.name

  depends_on = [google_storage_bucket_iam_member.source, google_storage_bucket_iam_member.source_reader]
}

output "stores" {
  description = "What TRON_ARCHIVE, TRON_LIVE_STORE, TRON_STREAM and TRON_WAREHOUSE are."
  value       = local.stores

  depends_on = [google_bigquery_dataset_iam_member.editor, google_project_iam_member.database_user, google_pubsub_topic_iam_member.publisher]
}
