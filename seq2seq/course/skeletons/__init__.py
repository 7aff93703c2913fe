"""The files that learners begin with: `seq2seq learn start lesson1` copies one."""
