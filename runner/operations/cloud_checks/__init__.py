"""Is everything on Google Cloud as it must be? One module a part: project, buckets, live documents, stream, warehouse.

What must be there is what Terraform is told (`runner.operations.infrastructure`), so there is one truth. Nothing is
changed by looking. What may not be looked at is never taken for good.
"""
