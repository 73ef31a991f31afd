using System.Threading.Channels;
using Microsoft.AspNetCore.Http;
using OnnxLlm.Serving.Engine;

namespace OnnxLlm.Serving.Api;

/// <summary>Lets the engine read the prompts of a request without answering them.</summary>
internal static class PromptPass
{
    /// <summary>Returns when all of them have been read.</summary>
    /// <param name="readers">One per prompt.</param>
    /// <returns>Why the engine did not take them, or null.</returns>
    public static async Task<ApiError?> RunAsync(HttpContext context, ReadRequest held, IReadOnlyList<PromptReader> readers)
    {
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        var (events, caller) = (Channel.CreateUnbounded<SequenceEvent>(), Caller.Of(context));
        Sequence[] sequences = [.. readers.Select((reader, i) => Of(held.Request, i, reader, caller, events.Writer, cancel.Token))];
        var admission = held.Model.Engine.Submit(sequences);
        if (admission != Admission.Accepted) return admission == Admission.QueueFull ? ApiError.QueueFull() : ApiError.EngineDead();
        try
        {
            foreach (var _ in sequences)
                if (await events.Reader.ReadAsync(context.RequestAborted).ConfigureAwait(false) is SequenceFailed failed)
                    throw new ServingException("The engine failed while it read the text.", failed.Fault);
        }
        finally
        {
            await cancel.CancelAsync().ConfigureAwait(false);
        }

        caller.Quota?.Charge(held.Request.PromptTokens);
        RequestRecord.Of(context).Usage = new Usage(held.Request.PromptTokens, 0, 0);
        return null;
    }

    private static Sequence Of(GenerationRequest request, int index, PromptReader reader, Caller caller, ChannelWriter<SequenceEvent> output, CancellationToken cancelled) => new()
    {
        Prompt = request.Prompts[index],
        Choice = index,
        MaxTokens = 0,
        Reader = reader,
        Key = caller.Name,
        Priority = caller.Priority,
        Salt = request.CacheSalt,
        Output = output,
        Cancelled = cancelled,
    };
}
