output "disks" {
  description = "The homes of bots on machines, by bot."
  value       = { for name, disk in google_compute_disk.home : name => disk.name }

  depends_on = [google_compute_disk_resource_policy_attachment.home]
}
