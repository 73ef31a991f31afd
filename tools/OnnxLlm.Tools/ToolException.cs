namespace OnnxLlm.Tools;

/// <summary>A command that cannot be done as asked; the message is one line for the user: what, where, expected, got.</summary>
public sealed class ToolException(string message) : Exception(message);
