using OnnxLlm.Serving.Engine;

namespace OnnxLlm.Serving.Api;

/// <summary>The API's words for the engine's.</summary>
internal static class Words
{
    public static string Of(FinishReason reason) => reason switch
    {
        FinishReason.Stop or FinishReason.StopSequence => "stop",
        FinishReason.Length => "length",
        FinishReason.Filtered => "content_filter",
        _ => throw new ServingException($"There is no word for {reason}."),
    };
}
