"""Real hosts on this machine: a loopback sshd without root, and systemd machines with root."""
