namespace OnnxLlm.Runtime;

/// <summary>A model, tensor or file that the runtime refuses; the message says what, where, expected and got.</summary>
public sealed class ModelRuntimeException : Exception
{
    public ModelRuntimeException(string message) : base(message) { }

    public ModelRuntimeException(string message, Exception cause) : base(message, cause) { }
}
