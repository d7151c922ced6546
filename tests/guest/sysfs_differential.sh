#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The kernel and user space give the same verdicts: the program of tests/differential, which comes with this.
exec differential
