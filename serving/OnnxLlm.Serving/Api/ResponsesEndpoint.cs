using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using OnnxLlm.Serving.Models;

namespace OnnxLlm.Serving.Api;

/// <summary>Answers <c>/v1/responses</c>, the form in which newer clients of OpenAI ask; nothing is stored.</summary>
internal sealed class ResponsesEndpoint(AnswerRoute route, ServerOptions options, Entropy entropy, TimeProvider time)
{
    /// <summary>Fields that a response repeats, with what they are where the request has none.</summary>
    private static readonly (string Name, string Otherwise)[] Repeated =
    [
        ("instructions", "null"), ("max_output_tokens", "null"), ("metadata", "{}"), ("parallel_tool_calls", "true"), ("temperature", "1.0"), ("text", """{"format":{"type":"text"}}"""),
        ("tool_choice", "\"auto\""), ("tools", "[]"), ("top_p", "1.0"),
    ];

    public Task RespondAsync(HttpContext context)
    {
        JsonObject? head = null;
        return route.HandleAsync(context, "chat", null, (body, model, shared) => Read(body, model, shared, out head), (answer, held) => WriteAsync(context, answer, held, head!));
    }

    private GenerationRequest Read(RequestBody body, ServedModel model, GenerationRequest shared, out JsonObject head)
    {
        head = Head(body);
        if (shared.Choices > 1) body.Refuse("n", "'n' must be 1: a response has one text.");
        if (Chat(body, head) is not { } chat) return shared;
        var request = new ChatParser(chat, model, options.Limits).Read(shared with { Format = new ConstraintFields(chat).Read() ?? shared.Format });
        if (chat.Error is { } error) body.Refuse(ResponseInput.Named(error));
        return request;
    }

    /// <summary>The same request as a chat; null where something is wrong with it. Texts that are none show only when they are written.</summary>
    private RequestBody? Chat(RequestBody body, JsonObject head)
    {
        try
        {
            _ = head.ToJsonString();
            var chat = new ResponseInput(body, options.Limits).ToChat();
            return body.Error is null ? new RequestBody(chat) : null;
        }
        catch (Exception mistake) when (mistake is InvalidOperationException or ArgumentException or JsonException)
        {
            body.Refuse(ApiError.InvalidJson("The body holds a text that is not valid Unicode."));
            return null;
        }
    }

    private static JsonObject Head(RequestBody body)
    {
        var head = new JsonObject { ["id"] = null, ["object"] = "response", ["created_at"] = null, ["model"] = null, ["background"] = false, ["error"] = null, ["incomplete_details"] = null, ["previous_response_id"] = null, ["store"] = false, ["truncation"] = "disabled" };
        foreach (var (name, otherwise) in Repeated) head[name] = body.Element(name) is { } given ? ResponseInput.Node(given.Clone()) : JsonNode.Parse(otherwise);
        return head;
    }

    private async Task WriteAsync(HttpContext context, Answer answer, ReadRequest held, JsonObject head)
    {
        var id = entropy.NextId();
        head["id"] = $"resp_{id}";
        head["created_at"] = time.GetUtcNow().ToUnixTimeSeconds();
        head["model"] = held.Lease.Description.Id;
        var events = new ResponseEvents(head, id, held.Request.MayCall);
        await (held.Request.Stream ? StreamAsync(context, answer, events) : WholeAsync(context, answer, events)).ConfigureAwait(false);
    }

    private static async Task WholeAsync(HttpContext context, Answer answer, ResponseEvents events)
    {
        await foreach (var delta in answer.ReadAsync(context.RequestAborted).ConfigureAwait(false))
            foreach (var _ in events.Of(delta)) { }
        await JsonResponse.WriteAsync(context, events.End(answer.Usage).Last().Data["response"]!).ConfigureAwait(false);
    }

    private async Task StreamAsync(HttpContext context, Answer answer, ResponseEvents events)
    {
        var (stream, number) = (new SseStream(context), 0);
        await stream.BeginAsync().ConfigureAwait(false);
        Append(events.Begin());
        try
        {
            await AnswerStream.SendAsync(stream, answer, delta => Append(events.Of(delta)), time, context.RequestAborted).ConfigureAwait(false);
        }
        catch (Exception fault) when (fault is ServingException or AnswerException)
        {
            var error = AnswerException.ErrorOf(fault, context);
            Append([new("error", new JsonObject { ["code"] = error.Code, ["message"] = error.Message, ["param"] = error.Param })]);
            await stream.FlushAsync().ConfigureAwait(false);
            throw;
        }

        Append(events.End(answer.Usage));
        await stream.FlushAsync().ConfigureAwait(false);

        void Append(IEnumerable<ResponseEvent> happened)
        {
            foreach (var (type, data) in happened)
            {
                data.Insert(0, "type", type);
                data.Insert(1, "sequence_number", number++);
                stream.Append(data, type);
            }
        }
    }
}
