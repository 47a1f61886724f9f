# What an operator says comes from terraform.tfvars; what the code says (buckets, firestore, stream, warehouse) from
# generated.auto.tfvars.json, which `tron init --terraform terraform` writes.

variable "alert_emails" {
  description = "Addresses that alerts and budget warnings go to."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for address in var.alert_emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", address))])
    error_message = "Each of alert_emails is an address such as desk@example.com."
  }
}

variable "bots" {
  description = <<-EOT
    Bots by name. Each is a worker pool of one instance with its shipper beside it; with `machine`, it is a virtual
    machine with a persistent disk, which the addons make. `arguments` follow `tron run --no-dashboard`; `config_secret`
    holds its tron.toml; `secrets` are variables by name whose values are names of secrets; `place` is primary or second.
  EOT
  type = map(object({
    arguments     = optional(list(string), [])
    config_secret = optional(string)
    cpu           = optional(string, "1")
    environment   = optional(map(string), {})
    home_mib      = optional(number, 256)
    image         = optional(string)
    memory        = optional(string, "1Gi")
    place         = optional(string, "primary")
    running       = optional(bool, true)
    secrets       = optional(map(string), {})
    machine = optional(object({
      disk_gb = optional(number, 20)
      type    = optional(string, "e2-small")
      zone    = string
    }))
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name in keys(var.bots) : can(regex("^[a-z][a-z0-9-]{0,24}[a-z0-9]$", name))])
    error_message = "The name of a bot has 2 to 26 letters, digits and dashes: it is also that of its service account."
  }
  validation {
    condition     = alltrue([for bot in values(var.bots) : contains(["primary", "second"], bot.place)])
    error_message = "The place of a bot is primary or second."
  }
  validation {
    condition     = alltrue([for bot in values(var.bots) : bot.place == "primary" || var.second_region != null])
    error_message = "A bot whose place is second needs second_region."
  }
  validation {
    condition     = alltrue([for bot in values(var.bots) : bot.image == null || can(regex("@sha256:[0-9a-f]{64}$", bot.image))])
    error_message = "The image of a bot ends with its digest: ...@sha256:<64 digits>. A tag can be moved."
  }
  validation {
    condition     = var.image != null || alltrue([for bot in values(var.bots) : bot.image != null])
    error_message = "A bot needs an image: its own, or the variable image."
  }
  validation {
    condition = alltrue(flatten([
      for bot in values(var.bots) : [for name in concat(values(bot.secrets), compact([bot.config_secret])) : contains(var.secrets, name)]
    ]))
    error_message = "The secrets of a bot are among those that the variable secrets names."
  }
  validation {
    condition     = alltrue([for bot in values(var.bots) : bot.home_mib >= 64 && bot.home_mib <= 8192])
    error_message = "The home of a bot has 64 to 8192 MiB; in a worker pool it counts as memory."
  }
  validation {
    condition = alltrue([
      for bot in values(var.bots) : length(setintersection(keys(merge(bot.environment, bot.secrets)), [
        "ENVIRONMENT", "GOOGLE_CLOUD_PROJECT", "TRON_ARCHIVE", "TRON_BOT", "TRON_CHORES", "TRON_HOME", "TRON_LIVE_STORE", "TRON_SHIPPER", "TRON_STREAM",
      ])) == 0
    ])
    error_message = "A bot's stores, name, home and environment are set for it: leave them out of environment and secrets."
  }
}

variable "buckets" {
  description = "Generated: how long each bucket keeps objects, and when they move to a cheaper storage class."
  type = map(object({
    days              = number
    moved_above_bytes = number
    moves             = map(number)
    retention_seconds = optional(number)
  }))
  nullable = false

  validation {
    condition     = alltrue([for bucket in values(var.buckets) : bucket.days >= 1 && bucket.days == floor(bucket.days)])
    error_message = "A bucket keeps objects for whole days."
  }
  validation {
    condition = alltrue(flatten([
      for bucket in values(var.buckets) : [
        for class, day in bucket.moves : bucket.days - day >= lookup({ NEARLINE = 30, COLDLINE = 90, ARCHIVE = 365 }, class, 99999)
      ]
    ]))
    error_message = "An object stays in NEARLINE for 30 days, in COLDLINE for 90, in ARCHIVE for 365, or its early deletion is paid."
  }
}

variable "budget" {
  description = "A monthly budget in the currency of the billing account; null for none. Warnings at half, 80 % and all of it."
  type = object({
    amount          = number
    billing_account = string
  })
  default = null

  validation {
    condition     = var.budget == null || can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.budget.billing_account))
    error_message = "A billing account looks like 012345-6789AB-CDEF01."
  }
  validation {
    condition     = var.budget == null || try(var.budget.amount >= 1 && var.budget.amount == floor(var.budget.amount), false)
    error_message = "The amount of a budget is a whole number of at least 1."
  }
}

variable "build" {
  description = "The repository that Cloud Build follows, as the second-generation connection names it; null for none. `substitutions` are those of cloudbuild.yaml that nothing here knows, such as _PYTHON_DIGEST."
  type = object({
    approval      = optional(bool, true)
    branch        = optional(string, "^main$")
    repository    = string
    substitutions = optional(map(string), {})
  })
  default = null

  validation {
    condition     = var.build == null || can(regex("^projects/[^/]+/locations/[^/]+/connections/[^/]+/repositories/[^/]+$", var.build.repository))
    error_message = "A repository looks like projects/P/locations/L/connections/C/repositories/R."
  }
  validation {
    condition     = var.environment != "prod" || try(var.build.approval, true)
    error_message = "What is deployed to prod is approved by somebody."
  }
}

variable "compliance_lock" {
  description = "Lock the retention policy of compliance-logs for ever: nobody, not even Google, can shorten it or delete the bucket for seven years."
  type        = bool
  default     = false
  nullable    = false
}

variable "dashboard" {
  description = "The dashboard behind Identity-Aware Proxy, and who may open it; null for none."
  type = object({
    image  = optional(string)
    people = optional(list(string), [])
  })
  default = null

  validation {
    condition     = alltrue([for member in try(var.dashboard.people, []) : can(regex("^(user|group|domain|serviceAccount):[^:]+$", member))])
    error_message = "People are user:, group:, domain: or serviceAccount: members; the dashboard is never public."
  }
  validation {
    condition     = try(var.dashboard.image, null) == null || can(regex("@sha256:[0-9a-f]{64}$", var.dashboard.image))
    error_message = "The image of the dashboard ends with its digest: ...@sha256:<64 digits>."
  }
  validation {
    condition     = var.dashboard == null || var.image != null || try(var.dashboard.image, null) != null
    error_message = "The dashboard needs an image: its own, or the variable image."
  }
}

variable "database" {
  description = "Name of the Firestore database."
  type        = string
  default     = "tron"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,61}[a-z0-9]$", var.database))
    error_message = "A database has a name of 4 to 63 letters, digits and dashes; (default) is left to others."
  }
}

variable "dataset" {
  description = "Name of the BigQuery dataset."
  type        = string
  default     = "tron"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_]{1,100}$", var.dataset))
    error_message = "The name of a dataset has letters, digits and underscores."
  }
}

variable "environment" {
  description = "dev, staging or prod: a label on records and resources. In prod nothing that holds records can be destroyed."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["dev", "staging", "prod"], var.environment)
    error_message = "environment is dev, staging or prod."
  }
}

variable "firestore" {
  description = "Generated: live collections with their time to live and indexed fields, composite indexes, and the security rules."
  type = object({
    collections = map(object({
      fields  = map(object({ orders = list(string), ttl = bool }))
      seconds = number
    }))
    indexes = map(object({
      collection = string
      fields     = list(object({ field = string, order = string }))
    }))
    rules = string
  })
  nullable = false

  validation {
    condition     = alltrue([for collection in values(var.firestore.collections) : length([for field in values(collection.fields) : field if field.ttl]) == 1])
    error_message = "Each collection expires by exactly one field."
  }
}

variable "functions_archive" {
  description = "Object in the source bucket that holds the functions, named by its content: functions/<sha256>.zip (make functions-archive). Null for no functions."
  type        = string
  default     = null

  validation {
    condition     = var.functions_archive == null || can(regex("^functions/[0-9a-f]{64}\\.zip$", var.functions_archive))
    error_message = "functions_archive is functions/<sha256 of the archive>.zip, so that new code has a new name."
  }
}

variable "image" {
  description = "Image of bots, shippers and dashboard, pinned by digest; null while there is none, and neither a bot nor a dashboard."
  type        = string
  default     = null

  validation {
    condition     = var.image == null || can(regex("^[a-z0-9.-]+/[^@\\s]+@sha256:[0-9a-f]{64}$", var.image))
    error_message = "The image ends with its digest: registry/path@sha256:<64 digits>. A tag can be moved."
  }
}

variable "kms_key" {
  description = "Key that encrypts everything at rest; null for Google's. README tells who must be able to use it first."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.kms_key))
    error_message = "A key looks like projects/P/locations/L/keyRings/R/cryptoKeys/K."
  }
  validation {
    condition     = var.kms_key == null || var.second_region == null && try(split("/", var.kms_key)[3], "") == var.region
    error_message = "A key lies in the region of what it encrypts, so there is no second region with it."
  }
}

variable "labels" {
  description = "Labels that every resource gets beside app, environment and managed-by."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key, value in var.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", key)) && can(regex("^[a-z0-9_-]{0,63}$", value))])
    error_message = "Labels are lower case letters, digits, dashes and underscores."
  }
  validation {
    condition     = length(setintersection(keys(var.labels), ["app", "environment", "managed-by"])) == 0
    error_message = "The labels app, environment and managed-by are set already."
  }
}

variable "operators" {
  description = "Who may act as audit, restore and tail."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for member in var.operators : can(regex("^(user|group|serviceAccount):[^:]+$", member))])
    error_message = "Operators are user:, group: or serviceAccount: members."
  }
}

variable "prefix" {
  description = "Prefix of the names of buckets, <prefix>-tron-<bucket>; with it, TRON_ARCHIVE is gs://<prefix>."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{0,37}[a-z0-9]$", var.prefix))
    error_message = "The prefix has 2 to 39 letters, digits and dashes."
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

variable "project_number" {
  description = "Its number, for Google's own service agents and the addresses of functions."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{6,}$", var.project_number))
    error_message = "project_number is what `gcloud projects describe PROJECT --format='value(projectNumber)'` says."
  }
}

variable "region" {
  description = "Region of everything."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region looks like us-central1."
  }
}

variable "schedules" {
  description = "When functions are called, in UTC and cron's words, by the function's name; null pauses one."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(keys(var.schedules), ["bigquery-export", "compact-archive", "cost-report", "daily-cleanup"])) == 0
    error_message = "The functions that are called by schedule are bigquery-export, compact-archive, cost-report and daily-cleanup."
  }
}

variable "second_region" {
  description = "Region on the same continent that the buckets are mirrored to and bots can be moved to; null for none. Set it before the first apply: buckets cannot move."
  type        = string
  default     = null

  validation {
    condition     = var.second_region == null || try(split("-", var.second_region)[0] == split("-", var.region)[0] && var.second_region != var.region, false)
    error_message = "second_region is another region on the continent of region."
  }
  validation {
    condition     = var.second_region == null || contains(["us", "europe", "asia"], split("-", var.region)[0])
    error_message = "Buckets in two regions exist in us-, europe- and asia- regions."
  }
}

variable "secrets" {
  description = "Names of secrets. Their values are never known here: `gcloud secrets versions add NAME --data-file=-`."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for name in var.secrets : can(regex("^[A-Za-z0-9_-]{1,255}$", name))])
    error_message = "The name of a secret has letters, digits, dashes and underscores."
  }
}

variable "state_bucket" {
  description = "Bucket of Terraform's state, for Cloud Build; null where Cloud Build does not deploy."
  type        = string
  default     = null

  validation {
    condition     = var.state_bucket != null || var.build == null
    error_message = "Cloud Build deploys with the state that state_bucket holds."
  }
}

variable "stream" {
  description = "Generated: the topics, and how often a message is tried before it is a dead letter."
  type = object({
    dead_letters      = string
    delivery_attempts = number
    topic             = string
  })
  nullable = false

  validation {
    condition     = var.stream.delivery_attempts >= 5 && var.stream.delivery_attempts <= 100
    error_message = "Pub/Sub tries a message 5 to 100 times."
  }
}

variable "warehouse" {
  description = "Generated: tables with their columns, the day that partitions them and what clusters them; views by the level that they stand on."
  type = object({
    tables = map(object({
      cluster = list(string)
      columns = list(object({
        mode      = string
        name      = string
        precision = optional(string)
        scale     = optional(string)
        type      = string
      }))
      day = string
    }))
    views = map(object({
      level = number
      sql   = string
    }))
  })
  nullable = false

  validation {
    condition     = alltrue([for view in values(var.warehouse.views) : view.level >= 0 && view.level <= 2])
    error_message = "Views stand on the levels 0 to 2; bigquery.tf needs a resource for each further one."
  }
}
