namespace OnnxLlm.Serving.Engine.Constraints;

/// <summary>A constraint that a client sent is malformed or asks for what is not available. The message is for the client.</summary>
internal sealed class ConstraintException(string message) : Exception(message);
