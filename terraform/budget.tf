# A budget warns; it stops nothing.

resource "google_billing_budget" "month" {
  count = var.budget == null ? 0 : 1

  billing_account = var.budget.billing_account
  display_name    = "tron ${var.project}"

  budget_filter {
    projects               = ["projects/${var.project_number}"]
    calendar_period        = "MONTH"
    credit_types_treatment = "INCLUDE_ALL_CREDITS"
  }

  amount {
    specified_amount {
      units = tostring(var.budget.amount)
    }
  }

  dynamic "threshold_rules" {
    for_each = [0.5, 0.8, 1.0]

    content {
      threshold_percent = threshold_rules.value
      spend_basis       = "CURRENT_SPEND"
    }
  }

  threshold_rules {
    threshold_percent = 1.0
    spend_basis       = "FORECASTED_SPEND"
  }

  all_updates_rule {
    monitoring_notification_channels = local.channels
    disable_default_iam_recipients   = length(local.channels) > 0
  }

  depends_on = [google_project_service.api]
}

# A plan reads the budget.
resource "google_billing_account_iam_member" "build" {
  count = var.budget == null || var.build == null ? 0 : 1

  billing_account_id = var.budget.billing_account
  role               = "roles/billing.viewer"
  member             = local.members["build"]

  depends_on = [google_service_account.account]
}
