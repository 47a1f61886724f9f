variable "environment" {
  description = "dev, staging or prod, as in the folder above."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["dev", "staging", "prod"], var.environment)
    error_message = "environment is dev, staging or prod."
  }
}

variable "labels" {
  description = "Labels that every resource gets beside app, environment and managed-by."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "machines" {
  description = "The output machines of the folder above: bots that run on a machine. A home of at least 10 GB."
  type = map(object({
    arguments       = list(string)
    config_secret   = optional(string)
    disk_gb         = number
    environment     = map(string)
    home            = string
    image           = string
    running         = bool
    secrets         = map(string)
    service_account = string
    shipper         = list(string)
    type            = string
    zone            = string
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for machine in values(var.machines) : can(regex("@sha256:[0-9a-f]{64}$", machine.image))])
    error_message = "The image of a bot ends with its digest: ...@sha256:<64 digits>. A tag can be moved."
  }
  validation {
    condition     = alltrue([for machine in values(var.machines) : machine.disk_gb >= 10])
    error_message = "The disk of a home has at least 10 GB."
  }
  validation {
    condition     = alltrue(flatten([for machine in values(var.machines) : [for value in values(machine.environment) : !can(regex("[\\n\"]", value))]]))
    error_message = "A variable of a bot on a machine has no line breaks and no quotes."
  }
  validation {
    condition     = alltrue(flatten([for machine in values(var.machines) : [for word in machine.arguments : !can(regex("[\\n'$\\\\]", word))]]))
    error_message = "An argument of a bot on a machine has no line breaks, single quotes, dollars and backslashes."
  }
}

variable "project" {
  description = "The Google Cloud project."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project is a project's id, not its name or number."
  }
}

variable "subnetwork" {
  description = "Subnetwork of the machines. It has Private Google Access, and Cloud NAT where a feed is on the internet: machines have no public address."
  type        = string
  default     = "default"
  nullable    = false
}
