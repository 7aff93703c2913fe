"""The commands `translate` and `seq2seq`: they parse, call and print."""
