variables {
  environment = "prod"
  project     = "demo-tron"
  machines = {
    options = {
      arguments       = ["run", "--no-dashboard"]
      config_secret   = "options-toml"
      disk_gb         = 20
      environment     = { TRON_BOT = "options", TRON_HOME = "/var/lib/tron" }
      home            = "/var/lib/tron"
      image           = "us-docker.pkg.dev/demo-tron/tron/tron@sha256:1111111111111111111111111111111111111111111111111111111111111111"
      running         = true
      secrets         = { EXCHANGE_KEY = "exchange-key" }
      service_account = "bot-options@demo-tron.iam.gserviceaccount.com"
      shipper         = ["ship", "--follow"]
      type            = "e2-small"
      zone            = "us-central1-a"
    }
  }
}

run "a_machine_has_the_disk_that_is_the_home" {
  command = plan

  assert {
    condition     = google_compute_instance.bot["options"].attached_disk[0].device_name == "home" && google_compute_disk.home["options"].size == 20
    error_message = "The home is a disk of its own."
  }
  assert {
    condition     = length(google_compute_instance.bot["options"].network_interface[0].access_config) == 0
    error_message = "A machine has no public address."
  }
  assert {
    condition     = strcontains(google_compute_instance.bot["options"].metadata["user-data"], "--env-file=/run/tron/secrets") && !strcontains(google_compute_instance.bot["options"].metadata["user-data"], "secret-value")
    error_message = "Secrets are read when the machine starts."
  }
  assert {
    condition     = google_compute_instance.bot["options"].service_account[0].email == "bot-options@demo-tron.iam.gserviceaccount.com"
    error_message = "A machine is its bot."
  }
}

run "an_image_by_tag_is_refused" {
  command = plan

  variables {
    machines = {
      options = {
        arguments       = []
        disk_gb         = 20
        environment     = {}
        home            = "/var/lib/tron"
        image           = "tron:latest"
        running         = true
        secrets         = {}
        service_account = "bot-options@demo-tron.iam.gserviceaccount.com"
        shipper         = []
        type            = "e2-small"
        zone            = "us-central1-a"
      }
    }
  }

  expect_failures = [var.machines]
}
