return OnnxLlm.Tools.ToolsProgram.Run(args, Console.Out, Console.Error);
