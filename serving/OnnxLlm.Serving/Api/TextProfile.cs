namespace OnnxLlm.Serving.Api;

/// <summary>Marks routes whose refusals have the statuses of the Open Inference Protocol's profile for text.</summary>
internal sealed class TextProfile
{
    private const int Invalid = 422, NotGenerated = 424;

    /// <summary>What the profile calls a status of the other routes.</summary>
    public static int Of(int status) => status switch
    {
        400 => Invalid,
        500 => NotGenerated,
        _ => status,
    };
}
