"""What a launcher starts in the test of `train.sharing`: training whose one device, the CPU, is taken to be crowded."""

import sys

import torch

from train import finetune, launching

# Memory with a name can be found by processes that are not each other's children, as memory of a GPU can.
torch.multiprocessing.set_sharing_strategy("file_system")
launching.crowded = lambda: True
finetune.main(sys.argv[1:])
