terraform {
  required_version = ">= 1.9.0"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 7.38.0, < 9.0.0"
    }
  }

  # terraform init -backend-config=bucket=... -backend-config=prefix=tron
  backend "gcs" {}
}

provider "google" {
  project = var.project
  region  = var.region
}
