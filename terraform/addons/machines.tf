# Bots whose home outlives everything: a machine with a disk that is the home. For live money.

resource "google_compute_disk" "home" {
  # checkov:skip=CKV_GCP_37: encrypted by Google; records hold no secrets
  for_each = var.machines

  project = var.project
  name    = "tron-home-${each.key}"
  zone    = each.value.zone
  type    = "pd-balanced"
  size    = each.value.disk_gb
  labels  = merge(local.labels, { bot = each.key })
}

# The journal of the last day, should a zone be lost before it was shipped.
resource "google_compute_resource_policy" "snapshots" {
  for_each = toset([for machine in values(var.machines) : join("-", slice(split("-", machine.zone), 0, 2))])

  project = var.project
  name    = "tron-homes"
  region  = each.key

  snapshot_schedule_policy {
    schedule {
      hourly_schedule {
        hours_in_cycle = 4
        start_time     = "00:00"
      }
    }
    retention_policy {
      max_retention_days    = 7
      on_source_disk_delete = "KEEP_AUTO_SNAPSHOTS"
    }
    snapshot_properties {
      labels = local.labels
    }
  }
}

resource "google_compute_disk_resource_policy_attachment" "home" {
  for_each = var.machines

  project = var.project
  name    = google_compute_resource_policy.snapshots[join("-", slice(split("-", each.value.zone), 0, 2))].name
  disk    = google_compute_disk.home[each.key].name
  zone    = each.value.zone
}

resource "google_compute_instance" "bot" {
  # checkov:skip=CKV_GCP_38: encrypted by Google; records hold no secrets
  for_each = var.machines

  project                   = var.project
  name                      = "bot-${each.key}"
  zone                      = each.value.zone
  machine_type              = each.value.type
  description               = "Bot ${each.key} and its shipper"
  desired_status            = each.value.running ? "RUNNING" : "TERMINATED"
  deletion_protection       = local.keep
  allow_stopping_for_update = true
  labels                    = merge(local.labels, { bot = each.key })

  boot_disk {
    initialize_params {
      image = "projects/cos-cloud/global/images/family/cos-stable"
      size  = 10
    }
  }

  attached_disk {
    source      = google_compute_disk.home[each.key].self_link
    device_name = "home"
  }

  network_interface {
    subnetwork = var.subnetwork
  }

  service_account {
    email  = each.value.service_account
    scopes = ["cloud-platform"]
  }

  shielded_instance_config {
    enable_secure_boot          = true
    enable_vtpm                 = true
    enable_integrity_monitoring = true
  }

  metadata = {
    block-project-ssh-keys    = "true"
    enable-oslogin            = "TRUE"
    google-logging-enabled    = "true"
    google-monitoring-enabled = "true"
    user-data                 = templatefile("${path.module}/cloud-init.yaml.tftpl", merge(each.value, { name = each.key, project = var.project }))
  }
}
