# SPDX-License-Identifier: Apache-2.0
"""SMP devices with MCUboot's behaviour, for people without hardware."""
