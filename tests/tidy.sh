#!/bin/sh
# clang-tidy on the named files, with the flags of the hosted build.
exec clang-tidy --quiet "$@" -- -std=c11 -iquote . -iquote include -iquote tests/host/include \
	-DAFTERIMAGE_VERSION='""' -DLZF_HLOG=12u -D_GNU_SOURCE -I/usr/include/liblzf
