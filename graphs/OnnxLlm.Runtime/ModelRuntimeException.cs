using OnnxLlm.Graphs;

namespace OnnxLlm.Runtime;

/// <summary>A model, tensor or file that the runtime refuses; the message says what, where, expected and got.</summary>
public sealed class ModelRuntimeException : Exception
{
    public ModelRuntimeException(string message) : base(message) { }

    public ModelRuntimeException(string message, Exception cause) : base(message, cause) { }

    /// <summary>Reads files of models; what is wrong with them is one of these.</summary>
    internal static T Reading<T>(Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception error) when (error is GraphException or IOException or UnauthorizedAccessException)
        {
            throw new ModelRuntimeException(error.Message, error);
        }
    }

    /// <summary>The runtime could not get the memory that it needs. The C API has no code for this, only its words: those of the arena, of its limit, and of C++.</summary>
    public bool IsOutOfMemory => OutOfMemory.Any(words => Message.Contains(words, StringComparison.OrdinalIgnoreCase));

    private static readonly string[] OutOfMemory = ["failed to allocate memory", "is smaller than requested bytes", "bad_alloc", "bad allocation", "out of memory"];
}
