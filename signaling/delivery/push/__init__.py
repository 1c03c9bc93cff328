"""Waking devices: Web Push, UnifiedPush, APNs and FCM."""
