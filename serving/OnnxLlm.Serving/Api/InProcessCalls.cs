using System.Text;
using System.Text.Json;
using Microsoft.Extensions.AI;
using OnnxLlm.Serving.Engine;

namespace OnnxLlm.Serving.Api;

/// <summary>Functions and their calls between the API's form and that of Microsoft.Extensions.AI.</summary>
/// <param name="nextId">Numbers that calls are told apart by.</param>
internal sealed class InProcessCalls(Func<long> nextId)
{
    private readonly CallReader _reader = new();
    private readonly StringBuilder _arguments = new();
    private string? _name;

    /// <summary>A call has begun.</summary>
    public bool Any => _reader.Calls > 0;

    /// <summary>A function that can be called, or a tool that is refused by its kind.</summary>
    public static object Tool(AITool tool) => tool is AIFunctionDeclaration function
        ? new { type = "function", function = new { name = function.Name, description = function.Description, parameters = function.JsonSchema } }
        : new { type = tool.Name };

    public static object Choice(ChatToolMode? mode) => mode switch
    {
        null or AutoChatToolMode => "auto",
        NoneChatToolMode => "none",
        RequiredChatToolMode { RequiredFunctionName: { } name } => new { type = "function", function = new { name } },
        _ => "required",
    };

    public static object Call(FunctionCallContent call) =>
        new { type = "function", function = new { name = call.Name, arguments = JsonSerializer.Serialize(call.Arguments ?? new Dictionary<string, object?>(), AIJsonUtilities.DefaultOptions) } };

    public static string Text(FunctionResultContent result) =>
        result.Result is string text ? text : JsonSerializer.Serialize(result.Result, AIJsonUtilities.DefaultOptions);

    /// <summary>Text as it comes, and each call once it is whole.</summary>
    public IList<AIContent> Read(ChoiceDelta delta)
    {
        var contents = new List<AIContent>();
        foreach (var piece in (IReadOnlyList<CallPiece>)[.. _reader.Append(delta.Text), .. delta.Finish is null ? [] : _reader.Finish()])
        {
            if (piece.Call is null) contents.Add(new TextContent(piece.Text));
            if (piece.Name is not null) End(contents);
            if (piece.Call is null) continue;
            _name = piece.Name ?? _name;
            _arguments.Append(piece.Text);
        }

        if (delta.Finish is FinishReason.Stop or FinishReason.StopSequence) End(contents);       // otherwise it was cut off
        return contents;
    }

    /// <summary>The call before is whole.</summary>
    private void End(List<AIContent> contents)
    {
        if (_name is null) return;
        contents.Add(FunctionCallContent.CreateFromParsedArguments(
            _arguments.ToString(), FormattableString.Invariant($"call_{nextId():x}"), _name, json => JsonSerializer.Deserialize<Dictionary<string, object?>>(json, AIJsonUtilities.DefaultOptions)));
        _name = null;
        _arguments.Clear();
    }
}
