"""python3 -m knockout_figures"""
import sys

from .cli import main

sys.exit(main())
