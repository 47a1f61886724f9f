# What is refused, each with its sentence. A run refuses many things at once, one a variable: every one of them must be.

variables {
  environment    = "prod"
  image          = "us-docker.pkg.dev/demo-tron/tron/tron@sha256:1111111111111111111111111111111111111111111111111111111111111111"
  prefix         = "acme"
  project        = "demo-tron"
  project_number = "123456789012"
  region         = "us-central1"
}

run "what_has_the_wrong_form" {
  command = plan

  variables {
    # an image by tag
    image = "us-docker.pkg.dev/demo-tron/tron/tron:latest"
    # an environment that is none
    environment = "production"
    # a public operator
    operators = ["allAuthenticatedUsers"]
    # functions that are not named by their content
    functions_archive = "functions/latest.zip"
    # a billing account that is none
    budget = { amount = 10, billing_account = "mine" }
    # a second region on another continent
    second_region = "europe-west1"
    # labels of ours
    labels = { environment = "mine" }
    # a schedule of a function that is none
    schedules = { nightly = "0 1 * * *" }
    # a project number as project
    project = "123456789012"
    # the default database
    database = "(default)"
    # an address that is none
    alert_emails = ["desk"]
    # a bucket that pays early deletion
    buckets = { trade-logs = { days = 100, moved_above_bytes = 1048576, moves = { COLDLINE = 90 } } }
    # a collection that never expires
    firestore = { collections = { live_trades = { seconds = 60, fields = { symbol = { orders = [], ttl = false } } } }, indexes = {}, rules = "" }
    # too few deliveries
    stream = { dead_letters = "d", delivery_attempts = 4, topic = "t" }
    # a prefix with capitals
    prefix = "Acme"
  }

  expect_failures = [
    var.alert_emails,
    var.buckets,
    var.budget,
    var.database,
    var.environment,
    var.firestore,
    var.functions_archive,
    var.image,
    var.labels,
    var.operators,
    var.prefix,
    var.project,
    var.schedules,
    var.second_region,
    var.stream,
  ]
}

run "a_bot_by_tag_a_public_dashboard_a_budget_of_nothing_and_prod_without_approval" {
  command = plan

  variables {
    # a public dashboard
    dashboard = { people = ["allUsers"] }
    # an image of a bot by tag
    bots = { vwap = { image = "tron:1" } }
    # a build of prod without approval
    state_bucket = "acme-state"
    build        = { approval = false, repository = "projects/p/locations/l/connections/c/repositories/r" }
    # a budget of nothing
    budget = { amount = 0, billing_account = "012345-6789AB-CDEF01" }
  }

  expect_failures = [
    var.bots,
    var.budget,
    var.build,
    var.dashboard,
  ]
}

run "a_long_name_and_a_build_without_a_state" {
  command = plan

  variables {
    # a key in another region
    kms_key = "projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k"
    # a bot with a long name
    bots = { a-name-that-no-service-account-can-have = {} }
    # a build without a state
    build = { repository = "projects/p/locations/l/connections/c/repositories/r" }
  }

  expect_failures = [
    var.bots,
    var.kms_key,
    var.state_bucket,
  ]
}

run "a_bot_and_a_dashboard_without_an_image" {
  command = plan

  variables {
    image     = null
    bots      = { vwap = {} }
    dashboard = {}
  }

  expect_failures = [
    var.bots,
    var.dashboard,
  ]
}

run "a_bot_in_a_second_region_that_is_none" {
  command = plan

  variables {
    bots = { vwap = { place = "second" } }
  }

  expect_failures = [
    var.bots,
  ]
}

run "a_bot_with_a_secret_that_is_none" {
  command = plan

  variables {
    bots = { vwap = { secrets = { KEY = "unheard-of" } } }
  }

  expect_failures = [
    var.bots,
  ]
}

run "a_bot_that_sets_its_own_home" {
  command = plan

  variables {
    bots = { vwap = { environment = { TRON_HOME = "/tmp" } } }
  }

  expect_failures = [
    var.bots,
  ]
}

run "a_second_region_that_is_the_first" {
  command = plan

  variables {
    second_region = "us-central1"
  }

  expect_failures = [
    var.second_region,
  ]
}
