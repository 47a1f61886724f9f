# Bots as worker pools, each with its shipper beside it, and the dashboard as a service.

locals {
  containers = {
    bot     = ["run", "--no-dashboard"]
    shipper = ["ship", "--follow"]
  }
}

# One instance, never two: a bot is alone with its journal. Both containers see one home, which lies in memory; what the
# shipper cannot ship within eight seconds after SIGTERM it prints, and `tron recover` reads it back from the log.
resource "google_cloud_run_v2_worker_pool" "bot" {
  for_each = local.pools

  project             = var.project
  name                = "bot-${each.key}"
  location            = local.places[each.value.place]
  description         = "Bot ${each.key} and its shipper"
  deletion_protection = local.keep
  labels              = merge(local.labels, { bot = each.key })

  scaling {
    manual_instance_count = each.value.running ? 1 : 0
  }

  template {
    service_account = trimprefix(local.members["bot-${each.key}"], "serviceAccount:")
    encryption_key  = var.kms_key
    labels          = merge(local.labels, { bot = each.key })

    containers {
      name  = "bot"
      image = coalesce(each.value.image, var.image)
      args  = concat(local.containers.bot, each.value.arguments)

      dynamic "env" {
        for_each = local.bot_environment[each.key]

        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "env" {
        for_each = each.value.secrets

        content {
          name = env.key

          value_source {
            secret_key_ref {
              secret  = google_secret_manager_secret.secret[env.value].secret_id
              version = "latest"
            }
          }
        }
      }

      resources {
        limits = { cpu = each.value.cpu, memory = each.value.memory }
      }

      volume_mounts {
        name       = "home"
        mount_path = local.home
      }

      dynamic "volume_mounts" {
        for_each = each.value.config_secret[*]

        content {
          name       = "config"
          mount_path = "/etc/tron"
        }
      }
    }

    containers {
      name  = "shipper"
      image = coalesce(each.value.image, var.image)
      args  = local.containers.shipper

      dynamic "env" {
        for_each = local.bot_environment[each.key]

        content {
          name  = env.key
          value = env.value
        }
      }

      resources {
        limits = { cpu = "1", memory = "512Mi" }
      }

      volume_mounts {
        name       = "home"
        mount_path = local.home
      }
    }

    volumes {
      name = "home"

      empty_dir {
        medium     = "MEMORY"
        size_limit = "${each.value.home_mib}Mi"
      }
    }

    dynamic "volumes" {
      for_each = each.value.config_secret[*]

      content {
        name = "config"

        secret {
          secret = google_secret_manager_secret.secret[volumes.value].secret_id

          items {
            path    = "tron.toml"
            version = "latest"
          }
        }
      }
    }
  }

  depends_on = [
    google_firestore_field.live,
    google_project_iam_member.database_user,
    google_pubsub_topic_iam_member.publisher,
    google_secret_manager_secret_iam_member.bot,
    google_storage_bucket_iam_member.bot,
  ]
}

# It listens to Firestore, so it keeps its processor while somebody looks, and none when nobody does.
resource "google_cloud_run_v2_service" "dashboard" {
  count = local.is_dashboard ? 1 : 0

  project             = var.project
  name                = "dashboard"
  location            = var.region
  description         = "The live dashboard, behind Identity-Aware Proxy"
  ingress             = "INGRESS_TRAFFIC_ALL"
  iap_enabled         = true
  deletion_protection = false
  labels              = local.labels

  scaling {
    min_instance_count = 0
    max_instance_count = 1
  }

  template {
    service_account                  = trimprefix(local.members["dashboard"], "serviceAccount:")
    encryption_key                   = var.kms_key
    execution_environment            = "EXECUTION_ENVIRONMENT_GEN2"
    timeout                          = "3600s"
    max_instance_request_concurrency = 200
    labels                           = local.labels

    containers {
      image = coalesce(var.dashboard.image, var.image)
      args  = ["dashboard"]

      ports {
        container_port = 8080
      }

      dynamic "env" {
        for_each = merge(local.common, { TRON_HOME = local.home }, local.stores)

        content {
          name  = env.key
          value = env.value
        }
      }

      resources {
        limits            = { cpu = "1", memory = "512Mi" }
        cpu_idle          = true
        startup_cpu_boost = true
      }

      volume_mounts {
        name       = "home"
        mount_path = local.home
      }

      startup_probe {
        period_seconds    = 2
        failure_threshold = 30

        tcp_socket {
          port = 8080
        }
      }
    }

    volumes {
      name = "home"

      empty_dir {
        medium     = "MEMORY"
        size_limit = "64Mi"
      }
    }
  }

  depends_on = [google_firestore_database.live, google_project_iam_member.database_viewer]
}

# Only the proxy may call the service, and only these people pass the proxy.
resource "google_cloud_run_v2_service_iam_member" "iap" {
  count = local.is_dashboard ? 1 : 0

  project  = var.project
  location = var.region
  name     = google_cloud_run_v2_service.dashboard[0].name
  role     = "roles/run.invoker"
  member   = local.iap_agent
}

resource "google_iap_web_cloud_run_service_iam_member" "people" {
  for_each = toset(try(var.dashboard.people, []))

  project                = var.project
  location               = var.region
  cloud_run_service_name = google_cloud_run_v2_service.dashboard[0].name
  role                   = "roles/iap.httpsResourceAccessor"
  member                 = each.key
}
