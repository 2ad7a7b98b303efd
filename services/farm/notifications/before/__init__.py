"""What the service was: half a migration; notifications had moved, farmer profiles still lay in a dict."""
