locals {
  labels = merge(var.labels, { app = "tron", environment = var.environment, managed-by = "terraform" })
  keep   = var.environment == "prod"
}
