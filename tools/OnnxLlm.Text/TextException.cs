namespace OnnxLlm.Text;

/// <summary>A tokenizer, corpus or shard is not what it should be. The message is one line: what, where, expected, got.</summary>
public sealed class TextException(string message, Exception? inner = null) : Exception(message, inner);
