namespace OnnxLlm.Training;

/// <summary>A mistake of the user or the surroundings that ends training; the message is shown as it is, without a stack trace.</summary>
public sealed class TrainingException : Exception
{
    public TrainingException(string message) : base(message)
    {
    }

    public TrainingException(string message, Exception inner) : base(message, inner)
    {
    }
}
