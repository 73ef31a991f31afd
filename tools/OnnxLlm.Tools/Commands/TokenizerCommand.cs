using System.CommandLine;
using OnnxLlm.Text;

namespace OnnxLlm.Tools.Commands;

/// <summary><c>tokenizer encode | decode</c></summary>
internal static class TokenizerCommand
{
    public static Command Create() => new("tokenizer", "Train a tokenizer and use it.") { Encode(), Decode() };

    private static Command Encode()
    {
        var folder = new Option<string>("--tokenizer") { Description = "Folder of the tokenizer.", Required = true };
        var special = new Option<bool>("--special") { Description = "Read spellings of special tokens as those tokens." };
        var text = new Argument<string>("text");
        var command = new Command("encode", "Print the token ids of a text.") { folder, special, text };
        command.SetAction(parsed => parsed.InvocationConfiguration.Output.WriteLine(
            string.Join(' ', Tokenizer.Load(parsed.GetRequiredValue(folder)).Encode(parsed.GetRequiredValue(text), parsed.GetValue(special)))));
        return command;
    }

    private static Command Decode()
    {
        var folder = new Option<string>("--tokenizer") { Description = "Folder of the tokenizer.", Required = true };
        var ids = new Argument<int[]>("ids") { Arity = ArgumentArity.OneOrMore };
        var command = new Command("decode", "Print the text of token ids, special tokens included.") { folder, ids };
        command.SetAction(parsed => parsed.InvocationConfiguration.Output.WriteLine(
            Tokenizer.Load(parsed.GetRequiredValue(folder)).Decode(parsed.GetRequiredValue(ids), skipSpecial: false)));
        return command;
    }
}
