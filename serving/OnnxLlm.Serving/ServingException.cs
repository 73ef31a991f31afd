namespace OnnxLlm.Serving;

/// <summary>A mistake of the operator, or a fault of the engine. The message says what, where, expected, got; it never holds prompt text.</summary>
public sealed class ServingException(string message, Exception? inner = null) : Exception(message, inner);
