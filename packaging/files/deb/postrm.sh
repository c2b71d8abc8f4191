#!/bin/sh
set -e
@SERVICES@
exit 0
