# SPDX-License-Identifier: Apache-2.0
"""What stands around a gateway: an authority that makes certificates, a real mosquitto with TLS, a real HTTPS file server. For the demo and
the tests; everything lives in one folder and is gone with it."""
