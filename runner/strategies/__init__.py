"""What to trade, and when: strategies turn bars into signals. They see completed bars only and never take the time."""
